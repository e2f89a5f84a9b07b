// Opens the database that the configuration means: the one at HOP_DATABASE_URL, or the embedded one.
import { readFileSync } from "node:fs";
import { type ConnectionOptions, createSecureContext } from "node:tls";
import { type Config, ConfigError } from "./config.ts";
import { AppError, errorMessage, reasonOf } from "./lib/errors.ts";
import type { Log } from "./lib/log.ts";
import { parsePostgresUrl, type PostgresTls } from "./lib/postgres-url.ts";
import { isUntrusted } from "./lib/tls.ts";
import { openEmbeddedPostgres } from "./storage/embedded.ts";
import { asking, type Database, type DatabaseAddress, openDatabase } from "./storage/postgres/database.ts";
import { watchPool } from "./storage/postgres/watched-pool.ts";

export interface Storage {
  readonly address: DatabaseAddress;
  /** For the API and for commands. */
  readonly sql: Database;
  /** For redirects alone, so that a slow report cannot hold up a click. The same as `sql` when there are few connections. */
  readonly hotSql: Database;
  close(): Promise<void>;
}

/** One connection for lookups, one for clicks: each has one query in flight. */
const HOT_CONNECTIONS = 2;
const CLOSE_TIMEOUT_SECONDS = 5;
/** On top of the statement timeout, after which a healthy server has answered whatever was asked. */
const DEADLINE_MARGIN_MS = 1_000;
/** Statements of redirects take milliseconds. */
const HOT_DEADLINE_MS = 3_000;

export async function openStorage(
  config: Pick<Config, "databaseUrl" | "dataDir" | "databaseConnections" | "statementTimeoutMs">,
  log: Log,
): Promise<Storage> {
  await using opened = new AsyncDisposableStack();
  const address = await findDatabase(config, log, opened);
  const open = (connections: number, applicationName: string, deadlineMs: number) => {
    const { statementTimeoutMs } = config;
    const pool = watchPool(
      () => openDatabase({ address, connections, statementTimeoutMs, applicationName }),
      deadlineMs,
      log,
    );
    opened.defer(() => pool.close(CLOSE_TIMEOUT_SECONDS));
    return pool.sql;
  };
  const splits = config.databaseConnections > HOT_CONNECTIONS;
  const connections = splits ? config.databaseConnections - HOT_CONNECTIONS : config.databaseConnections;
  const sql = open(connections, "hop", config.statementTimeoutMs + DEADLINE_MARGIN_MS);
  const hotSql = splits ? open(HOT_CONNECTIONS, "hop redirects", HOT_DEADLINE_MS) : sql;
  const running = opened.move();
  return { address, sql, hotSql, close: () => running.disposeAsync() };
}

async function findDatabase(
  config: Pick<Config, "databaseUrl" | "dataDir">,
  log: Log,
  opened: AsyncDisposableStack,
): Promise<DatabaseAddress> {
  if (config.databaseUrl !== undefined) return databaseAddress("HOP_DATABASE_URL", config.databaseUrl);
  const embedded = await openEmbeddedPostgres({
    dataDir: config.dataDir,
    log: (message) => log.info({}, message),
  });
  opened.defer(() => embedded.close());
  return embedded.connection;
}

/** @throws ConfigError naming the variable, when the files that its URL names cannot be used */
export function databaseAddress(variable: string, text: string): DatabaseAddress {
  const parsed = parsePostgresUrl(text);
  if (parsed === undefined) throw new ConfigError([`${variable}: it is no URL of Postgres`]);
  const { url, socketDirectory, tls } = parsed;
  try {
    return {
      url,
      ...(socketDirectory !== undefined && { host: socketDirectory }),
      ...(tls !== undefined && { ssl: readTls(tls) }),
    };
  } catch (error) {
    const reason = errorMessage(error);
    throw new ConfigError([
      `${variable}: its certificates cannot be used (${reason}); correct sslrootcert, sslcert and sslkey`,
    ]);
  }
}

/** @throws when a file cannot be read, or is not what it should be: the driver would find out where nobody catches it */
function readTls({ verifies, authorities, certificate, key }: PostgresTls): ConnectionOptions {
  const [ca, cert, own] = [authorities, certificate, key].map((path) => path && readFileSync(path));
  const files = { ca, cert, key: own };
  createSecureContext(files);
  return {
    ...files,
    rejectUnauthorized: verifies !== "nothing",
    ...(verifies !== "host" && { checkServerIdentity: () => undefined }),
  };
}

/**
 * Waits until Postgres accepts connections, and opens those of redirects: a process that takes the place of another is asked at
 * once for links that it has not cached, and their lookups should not wait for connections too. @throws as waitForPostgres
 */
export async function openConnections(storage: Storage, timeoutMs: number, log: Log): Promise<void> {
  await waitForPostgres(storage.sql, timeoutMs, log);
  if (storage.hotSql === storage.sql) return;
  // Questions that are asked at once take a connection each.
  await Promise.all(
    Array.from({ length: HOT_CONNECTIONS }, () => waitForPostgres(storage.hotSql, timeoutMs, log)),
  );
}

const RETRY_MS = 250;

/** MERGE came with it. */
const OLDEST_POSTGRES = 15;

/**
 * Waits until Postgres accepts connections, as after a restart of both. What waiting cannot mend, such as a wrong password,
 * is thrown at once. @throws Error that says what to mend
 */
export async function waitForPostgres(sql: Database, timeoutMs: number, log: Log): Promise<void> {
  const major = await firstAnswer(sql, timeoutMs, log);
  if (major < OLDEST_POSTGRES)
    throw new Error(`HOP_DATABASE_URL: Postgres ${major} is too old; use ${OLDEST_POSTGRES} or newer`);
}

/** Postgres's major version. */
async function firstAnswer(sql: Database, timeoutMs: number, log: Log): Promise<number> {
  const deadlineMs = performance.now() + timeoutMs;
  const askVersion = () =>
    sql<{ major: number }[]>`SELECT current_setting('server_version_num')::integer / 10000 AS major`;
  for (let attempt = 1; ; attempt++) {
    try {
      const [{ major } = { major: 0 }] = await asking(sql, askVersion);
      return major;
    } catch (error) {
      const reason = reasonOf(error);
      if (!(error instanceof AppError) || POOLER_REFUSES.test(reason)) {
        throw new Error(`HOP_DATABASE_URL: ${refusalOf(reason)}`, { cause: error });
      }
      if (performance.now() > deadlineMs) {
        const seconds = Math.round(timeoutMs / 1_000);
        throw new Error(
          `HOP_DATABASE_URL: Postgres did not answer for ${seconds} s (${reason}); start it or correct the URL`,
          { cause: error },
        );
      }
      if (attempt === 1) log.warn({ reason }, "waiting for Postgres");
      await Bun.sleep(RETRY_MS);
    }
  }
}

/** PgBouncer's word; it has the code of what may pass. */
const POOLER_REFUSES = /unsupported startup parameter/;

/** Of a server, of a pooler in front of it, or of this side where it does not believe the server. */
function refusalOf(reason: string): string {
  if (POOLER_REFUSES.test(reason))
    return `a pooler in front of Postgres refuses (${reason}); write the address of Postgres itself`;
  return isUntrusted(reason)
    ? `the certificate of Postgres is not trusted (${reason}); name its authority in the URL: sslrootcert=/path/to/ca.pem`
    : `Postgres refuses (${reason}); correct the URL`;
}
