// A database of its own for each test file, on one real Postgres that all of them share.
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedPostgres, openEmbeddedPostgres } from "../../src/storage/embedded.ts";
import { type Database, openDatabase } from "../../src/storage/postgres/database.ts";
import { TcpProxy } from "./tcp-proxy.ts";

type Connection = EmbeddedPostgres["connection"];

/** Set by test/run.ts: the server that all test files share, as JSON. */
export const SHARED_POSTGRES = "TEST_POSTGRES";

export interface TestDatabase {
  /** Straight to the server, whatever happens to the proxy. */
  readonly sql: Database;
  readonly connection: Connection;
  /** Through `proxy`: what a process under test is given. */
  readonly url: string;
  readonly proxy: TcpProxy;
  /** Another door to the same database. */
  openProxy(): Promise<{ proxy: TcpProxy; url: string }>;
  drop(): Promise<void>;
}

/** An empty database. Call `drop` when the file is done. */
export async function createTestDatabase(): Promise<TestDatabase> {
  await using opened = new AsyncDisposableStack();
  const server = await sharedServer(opened);
  const name = `test_${randomBytes(6).toString("hex")}`;
  const maintenance = open(server);
  opened.defer(() => maintenance.end());
  await maintenance.unsafe(`CREATE DATABASE ${name}`);
  opened.defer(async () => {
    await maintenance.unsafe(`DROP DATABASE ${name} WITH (FORCE)`);
  });
  const connection = { ...server, database: name };
  const sql = open(connection);
  opened.defer(() => sql.end());
  const proxies: TcpProxy[] = [];
  opened.defer(async () => {
    await Promise.all(proxies.map((proxy) => proxy.close()));
  });
  const openProxy = async () => {
    const proxy = await TcpProxy.open({ path: connection.path });
    proxies.push(proxy);
    const url = `postgres://${connection.username}:${encodeURIComponent(connection.password)}@127.0.0.1:${proxy.port}/${name}`;
    return { proxy, url };
  };
  const door = await openProxy();
  const running = opened.move();
  return { sql, connection, ...door, openProxy, drop: () => running.disposeAsync() };
}

function open(connection: Connection): Database {
  return openDatabase({
    address: connection,
    connections: 4,
    statementTimeoutMs: 60_000,
    applicationName: "test",
  });
}

async function sharedServer(opened: AsyncDisposableStack): Promise<Connection> {
  const shared = process.env[SHARED_POSTGRES];
  if (shared !== undefined) return JSON.parse(shared) as Connection;
  const server = await openTestServer();
  opened.defer(() => server.close());
  return server.connection;
}

/** A Postgres in a directory of its own, which goes when it closes. */
export async function openTestServer(): Promise<EmbeddedPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), "hop-test-"));
  // Open to the user that Postgres runs as under root, or the data would be kept elsewhere and stay behind.
  await chmod(dataDir, 0o711);
  const postgres = await openEmbeddedPostgres({ dataDir, log: () => undefined });
  return {
    connection: postgres.connection,
    close: async () => {
      await postgres.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
