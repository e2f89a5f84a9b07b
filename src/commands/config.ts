// The configuration of this process, for commands.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { type Config, loadConfig } from "../config.ts";
import type { Log } from "../lib/log.ts";
import { openStorage, type Storage } from "../open-storage.ts";
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

/** Runs something against the database and closes it, whatever happens. Only warnings are logged. */
export async function withStorage<T>(work: (storage: Storage, log: Log) => Promise<T>): Promise<T> {
  const config = readConfig();
  const log = openLog({ ...config, logLevel: "error" });
  const storage = await openStorage(config, log);
  try {
    return await work(storage, log);
  } finally {
    await storage.close();
  }
}
