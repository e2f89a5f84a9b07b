// Opens the database that the configuration means: the one at HOP_DATABASE_URL, or the embedded one.
import type { Config } from "./config.ts";
import type { Log } from "./lib/log.ts";
import { openEmbeddedPostgres } from "./storage/embedded.ts";
import { type Database, type DatabaseAddress, openDatabase } from "./storage/postgres/database.ts";
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
  if (config.databaseUrl !== undefined) return { url: config.databaseUrl };
  const embedded = await openEmbeddedPostgres({
    dataDir: config.dataDir,
    log: (message) => log.info({}, message),
  });
  opened.defer(() => embedded.close());
  return embedded.connection;
}
