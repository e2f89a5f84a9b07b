// The log of a process that runs until it is told to stop.
import type { Config } from "../config.ts";
import { secretsOf } from "../config/secrets.ts";
import { createLog, type Log } from "../lib/log.ts";

/**
 * On stdout: pretty on a terminal, else JSON lines. Never shows a secret of the configuration.
 * @param base fields of every line
 */
export function openLog(config: Config, base?: object): Log {
  return createLog({
    level: config.logLevel,
    pretty: process.stdout.isTTY,
    secrets: secretsOf(config),
    ...(base !== undefined && { base }),
  });
}
