// Opens the database that the configuration means: the one at HOP_DATABASE_URL, or the embedded one.
import type { Config } from "./config.ts";
import type { Log } from "./lib/log.ts";
import { openEmbeddedPostgres } from "./storage/embedded.ts";
import { type Database, type DatabaseAddress, openDatabase } from "./storage/postgres/database.ts";
import { renewable } from "./storage/postgres/renewable.ts";

export interface Storage {
  readonly address: DatabaseAddress;
  /** For the API and for commands. */
  readonly sql: Database;
  /** For redirects alone, so that a slow report cannot hold up a click. The same as `sql` when there are few connections. */
  readonly hotSql: Database;
  /** `sql` has not answered within a deadline that a healthy connection keeps: it goes on with new connections. */
  renewSql(): void;
  /** The same for `hotSql`. */
  renewHotSql(): void;
  close(): Promise<void>;
}

/** One connection for lookups, one for clicks: each has one query in flight. */
const HOT_CONNECTIONS = 2;
const CLOSE_TIMEOUT_SECONDS = 5;

export async function openStorage(
  config: Pick<Config, "databaseUrl" | "dataDir" | "databaseConnections" | "statementTimeoutMs">,
  log: Log,
): Promise<Storage> {
  await using opened = new AsyncDisposableStack();
  const address = await findDatabase(config, log, opened);
  const open = (connections: number, applicationName: string) => {
    const pool = renewable(() =>
      openDatabase({
        address,
        connections,
        statementTimeoutMs: config.statementTimeoutMs,
        applicationName,
      }),
    );
    opened.defer(() => pool.close(CLOSE_TIMEOUT_SECONDS));
    return pool;
  };
  const splits = config.databaseConnections > HOT_CONNECTIONS;
  const main = open(
    splits ? config.databaseConnections - HOT_CONNECTIONS : config.databaseConnections,
    "hop",
  );
  const hot = splits ? open(HOT_CONNECTIONS, "hop redirects") : main;
  const running = opened.move();
  return {
    address,
    sql: main.sql,
    hotSql: hot.sql,
    renewSql: () => main.renew(),
    renewHotSql: () => hot.renew(),
    close: () => running.disposeAsync(),
  };
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
