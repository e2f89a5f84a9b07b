// The configuration of this process, for commands.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { type Config, ConfigError, loadConfig } from "../config.ts";
import type { Log } from "../lib/log.ts";
import { openStorage, type Storage } from "../open-storage.ts";
import { hasEmbeddedPostgres } from "../storage/embedded.ts";
import type { Database } from "../storage/postgres/database.ts";
import { isMigrated, schemaMissing } from "../storage/postgres/migrate.ts";
import { openLog } from "./log.ts";

/** The flags of `hop serve` that are settings. */
export interface ServeFlags {
  readonly port?: string;
  readonly workers?: string;
  readonly preset?: string;
}

/** @throws ConfigError with every problem */
export function readConfig(flags: ServeFlags = {}): Config {
  return loadConfig({
    env: process.env,
    flags,
    readFile: (path) => readFileSync(path, "utf8"),
    cwd: process.cwd(),
    cores: availableParallelism(),
  });
}

/**
 * Runs something against the database and closes it, whatever happens. Only errors are logged.
 * @throws ConfigError where neither HOP_DATABASE_URL nor `hop serve` made one: an empty one would answer every question wrongly
 */
export async function withStorage<T>(work: (storage: Storage, log: Log) => Promise<T>): Promise<T> {
  const config = readConfig();
  if (config.databaseUrl === undefined && !hasEmbeddedPostgres(config.dataDir)) {
    throw new ConfigError([
      `HOP_DATABASE_URL: it is not set, and ${config.dataDir} has no embedded Postgres; set it, or HOP_DATA_DIR, as \`hop serve\` has them`,
    ]);
  }
  const log = openLog({ ...config, logLevel: "error" });
  const storage = await openStorage(config, log);
  try {
    return await work(storage, log);
  } finally {
    await storage.close();
  }
}

/** As `withStorage`, for what needs the schema of this version. @throws when the database has not got it */
export async function withSchema<T>(work: (sql: Database) => Promise<T>): Promise<T> {
  return withStorage(async ({ sql }) => {
    if (!(await isMigrated(sql))) throw schemaMissing();
    return work(sql);
  });
}
