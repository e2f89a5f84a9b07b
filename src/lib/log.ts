// Structured logs: JSON lines on stdout, pretty on a terminal; without secrets, whoever puts them in.
import { type DestinationStream, pino } from "pino";
import { createMask } from "./secrets.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** What hop's parts may say; pino implements it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly pretty: boolean;
  /** Texts that must not be printed, wherever they stand. */
  readonly secrets: readonly string[];
  /** Fields of every line. */
  readonly base?: object;
}

/** Fields that must never be printed, wherever they appear one level deep. */
const SECRETS = ["authorization", "password", "databaseUrl", "redisUrl", "adminKey"];

/** @param destination stdout when missing */
export function createLog(
  { level, pretty, secrets, base }: LogOptions,
  destination?: DestinationStream,
): Log {
  const options = {
    level,
    base: base ?? null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
    redact: SECRETS.flatMap((name) => [name, `*.${name}`]),
    hooks: { streamWrite: createMask(secrets) },
  };
  if (destination !== undefined) return pino(options, destination);
  if (!pretty) return pino(options);
  const transport = {
    target: "pino-pretty",
    options: { translateTime: "HH:MM:ss.l", ignore: "pid,hostname" },
  };
  return pino({ ...options, transport });
}

/** An outage is spoken of this often. */
const REPEAT_MS = 10_000;

/**
 * For what fails again and again while something is away: a warning at once, then one every 10 s, with the number of failures
 * that were not spoken of.
 *
 * @param describe fields of the line
 * @param now milliseconds that only grow
 */
export function warnSeldom(
  log: Pick<Log, "warn">,
  message: string,
  describe: (error: unknown) => object = (error) => ({ err: error }),
  now: () => number = () => performance.now(),
): (error: unknown) => void {
  let quietUntilMs = -Infinity;
  let keptBack = 0;
  return (error) => {
    if (now() < quietUntilMs) {
      keptBack++;
      return;
    }
    log.warn({ ...describe(error), ...(keptBack > 0 && { keptBack }) }, message);
    quietUntilMs = now() + REPEAT_MS;
    keptBack = 0;
  };
}

/**
 * What an error may tell. pino's own serializer copies every property, and clients of databases put whole commands there:
 * ioredis the password of AUTH, postgres.js the parameters of a query.
 */
function describeError(error: unknown): object | string {
  if (!(error instanceof Error)) return String(error);
  const plain = pino.stdSerializers.err(error);
  const { code } = error as { code?: unknown };
  return {
    type: plain.type,
    message: plain.message,
    ...(typeof code === "string" && { code }),
    ...(error instanceof AggregateError && { errors: error.errors.map(String) }),
    stack: plain.stack,
  };
}
