// The connection pool, and what its errors mean.
import type { ConnectionOptions } from "node:tls";
import postgres from "postgres";
import { DeadlineError, withDeadline } from "../../lib/deadline.ts";
import { AppError } from "../../lib/errors.ts";

/** bigint columns as numbers: ids and counts stay far below 2^53. */
const bigint: postgres.PostgresType<number> = { to: 20, from: [20], serialize: String, parse: Number };

export type Database = postgres.Sql<{ bigint: number }>;
/** A pool, or one transaction of it. */
export type Queryable = postgres.ISql<{ bigint: number }>;

/** Where Postgres is: a URL as the driver reads it and what the driver does not read in it, or the embedded server's socket. */
export type DatabaseAddress =
  | {
      readonly url: string;
      /** The directory of a socket, instead of the URL's. */
      readonly host?: string;
      /** Instead of what the URL says. */
      readonly ssl?: ConnectionOptions;
    }
  | {
      readonly path: string;
      readonly username: string;
      readonly password: string;
      readonly database: string;
    };

export interface DatabaseOptions {
  readonly address: DatabaseAddress;
  readonly connections: number;
  /** For a statement, and for a transaction in which nothing is said. */
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
  readonly onClose?: () => void;
  readonly onNotify?: (channel: string, payload: string) => void;
}

const CONNECT_TIMEOUT_SECONDS = 5;

/** Opens lazily: nothing is sent before the first query. */
export function openDatabase(options: DatabaseOptions): Database {
  const shared = {
    max: options.connections,
    types: { bigint },
    // Array types would cost a query per connection and are not known before it; arrays travel as literals and JSON.
    fetch_types: false,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    // A lost server is asked again after 0.1 to 1 s; the library's own back-off grows to 20 s.
    backoff: (retries: number) => Math.min(0.1 * 2 ** retries, 1),
    onnotice: () => undefined,
    ...(options.onClose && { onclose: options.onClose }),
    ...(options.onNotify && { onnotify: options.onNotify }),
    connection: {
      application_name: options.applicationName,
      statement_timeout: options.statementTimeoutMs,
      // A process that is frozen in a transaction must not keep its locks for ever.
      idle_in_transaction_session_timeout: options.statementTimeoutMs,
      TimeZone: "UTC",
      // Whatever the server's default is: each statement sees what was committed before it (see batch-ranges.ts).
      default_transaction_isolation: "read committed" as const,
    },
  };
  const { address } = options;
  if (!("url" in address)) return postgres({ ...address, ...shared });
  const { url, ...special } = address;
  return postgres(url, { ...special, ...shared });
}

/** SQLSTATEs and client codes that say "not now" rather than "never" (Postgres manual, appendix A). */
const UNAVAILABLE = new Set([
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "57014", // query_canceled: the statement timeout
  "53300", // too_many_connections
  "53100", // disk_full
  "53200", // out_of_memory
  "25006", // read_only_sql_transaction: a replica that was not promoted yet
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "55P03", // lock_not_available
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOENT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "FailedToOpenSocket",
]);

/** True when Postgres could not be asked, as opposed to having refused the statement. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return false;
  return UNAVAILABLE.has(error.code) || error.code.startsWith("08");
}

/** insufficient_privilege: an operator has to mend it. */
function lacksRights(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "42501";
}

interface Watch {
  readonly deadlineMs: number;
  /** Called when a question is asked; the result is called when its answer did not come. */
  readonly ask: () => () => void;
}

const watches = new WeakMap<object, Watch>();

/** From now on every question to this pool has a deadline. */
export function watchAnswers(sql: Database, deadlineMs: number, ask: Watch["ask"]): void {
  watches.set(sql, { deadlineMs, ask });
}

/**
 * Asks the database one question, a statement or a transaction, and translates "not now" into TEMPORARILY_UNAVAILABLE; a bug
 * stays what it is. A pool that is watched has to answer within its deadline.
 */
export async function asking<T>(sql: Queryable, question: () => Promise<T>): Promise<T> {
  const watch = watches.get(sql);
  if (watch === undefined) return translating(question);
  const onSilence = watch.ask();
  return translating(() => withDeadline(question(), watch.deadlineMs, "asking Postgres", onSilence));
}

/** As `asking`, for work that may take as long as it needs. @throws Error that says what to do where rights are lacking */
export async function translating<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (lacksRights(error)) {
      throw new Error(
        `the user of the database lacks rights (${error.message}); \`hop doctor\` says what it needs`,
        { cause: error },
      );
    }
    if (!(error instanceof DeadlineError) && !isUnavailable(error)) throw error;
    throw new AppError("TEMPORARILY_UNAVAILABLE", "The database cannot be reached now; try again.", {
      cause: error,
    });
  }
}

/** A Postgres array literal for a `::text[]` parameter. */
export function textArray(values: readonly string[]): string {
  return `{${values.map(quoteElement).join(",")}}`;
}

/** An element of an array literal. Almost nothing needs escaping, and `includes` is ten times faster than a pattern. */
function quoteElement(text: string): string {
  const escaped = text.includes('"') || text.includes("\\") ? text.replace(/["\\]/g, "\\$&") : text;
  return `"${escaped}"`;
}
