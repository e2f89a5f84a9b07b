// Hears that links changed, from any process or from SQL by hand, and knows when it may have missed something.
import { randomUUID } from "node:crypto";
import { DeadlineError, withDeadline } from "../../lib/deadline.ts";
import type { Log } from "../../lib/log.ts";
import { interval } from "../../lib/loop.ts";
import { asking, type Database, type DatabaseOptions, openDatabase } from "./database.ts";

export interface LinkListenerOptions {
  readonly database: Omit<DatabaseOptions, "connections" | "onClose" | "onNotify">;
  /** Connections of the same database, on which it tells itself something to see that it hears. */
  readonly sql: Database;
  /** `sentAtMs` is the database's clock at the change; `version` is undefined in a message that was sent by hand. */
  readonly onChange: (code: string, sentAtMs: number, version: number | undefined) => void;
  /** Changes may have been missed: when the connection was lost, when it is back, and on TRUNCATE. */
  readonly onGap: () => void;
  readonly onListening: (listening: boolean) => void;
  readonly log: Log;
}

const CHANNEL = "hop_links";
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;
/** What is told arrives within milliseconds, or not at all. */
export const HEAR_MS = 5_000;
/** Before what it tells itself. As a message of two words it names no code. */
const ECHO = "echo";

/** Postgres agreed to tell of changes, and what it tells does not arrive. */
class DeafError extends Error {
  override readonly name = "DeafError";

  constructor(cause: DeadlineError) {
    super(
      "Postgres agreed to tell of changed links, and nothing arrives: a pooler in transaction mode is in between; set HOP_DATABASE_URL to the address of Postgres itself",
      { cause },
    );
  }
}

/** Listens on a connection of its own and comes back by itself until closed. */
export class LinkListener {
  readonly #options: LinkListenerOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #first = Promise.withResolvers<void>();
  #echo = { word: "", heard: () => undefined as void };

  constructor(options: LinkListenerOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Resolves when it hears for the first time. @throws DeafError when Postgres can be reached and it does not */
  get listening(): Promise<void> {
    return this.#first.promise;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#closing.signal.aborted) {
      const lost = Promise.withResolvers<void>();
      const leave = () => lost.resolve();
      this.#closing.signal.addEventListener("abort", leave, { once: true });
      const connection = openDatabase({
        ...this.#options.database,
        connections: 1,
        onClose: leave,
        onNotify: (channel, payload) => this.#hear(channel, payload),
      });
      try {
        await connection.unsafe(`LISTEN ${CHANNEL}`);
        if (await this.#hearsItself(lost.promise)) {
          retryMs = FIRST_RETRY_MS;
          this.#options.onGap();
          this.#options.onListening(true);
          this.#first.resolve();
          await lost.promise;
        }
      } catch (error) {
        this.#options.log.warn({ err: error }, "cannot listen for link changes; trying again");
        if (error instanceof DeafError) this.#first.reject(error);
      }
      this.#closing.signal.removeEventListener("abort", leave);
      this.#options.onListening(false);
      this.#options.onGap();
      await endQuietly(connection);
      await interval(retryMs, this.#closing.signal);
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    }
  }

  /**
   * Told on another connection: a pooler that lends connections by transaction says yes to LISTEN, and drops what comes.
   * @returns false when the connection was lost meanwhile
   */
  async #hearsItself(lost: Promise<void>): Promise<boolean> {
    const { sql } = this.#options;
    const hears = Promise.withResolvers<boolean>();
    void lost.then(() => hears.resolve(false));
    this.#echo = { word: randomUUID(), heard: () => hears.resolve(true) };
    const told = asking(sql, () => sql`SELECT pg_notify(${CHANNEL}, ${`${ECHO} ${this.#echo.word}`})`);
    await Promise.race([told, hears.promise]);
    try {
      return await withDeadline(hears.promise, HEAR_MS, "hearing of changed links");
    } catch (error) {
      throw error instanceof DeadlineError ? new DeafError(error) : error;
    }
  }

  #hear(channel: string, payload: string): void {
    if (channel !== CHANNEL) return;
    if (payload === "*") {
      this.#options.onGap();
      return;
    }
    // A code that was written by hand may have spaces; no redirect asks for it, and its words are no version.
    const [first, sentAtMs, code, text = ""] = payload.split(" ");
    if (first === ECHO && sentAtMs === this.#echo.word) this.#echo.heard();
    if (code === undefined) return;
    const version = /^\d+$/.test(text) ? Number(text) : undefined;
    this.#options.onChange(code, Number(sentAtMs), version);
  }
}

async function endQuietly(connection: Database): Promise<void> {
  try {
    await connection.end({ timeout: 1 });
  } catch {
    // It is gone already, which is all that was wanted.
  }
}
