// Structured logs: JSON lines on stdout, pretty on a terminal.
import { pino } from "pino";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** What hop's parts may say; pino implements it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Fields that must never be printed, wherever they appear one level deep. */
const SECRETS = ["authorization", "password", "databaseUrl", "redisUrl", "adminKey"];

export function createLog(options: {
  level: LogLevel;
  pretty: boolean;
  /** Fields of every line. */
  base?: object;
}): Log {
  return pino({
    level: options.level,
    base: options.base ?? null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: SECRETS.flatMap((name) => [name, `*.${name}`]),
    ...(options.pretty
      ? {
          transport: {
            target: "pino-pretty",
            options: { translateTime: "HH:MM:ss.l", ignore: "pid,hostname" },
          },
        }
      : {}),
  });
}
