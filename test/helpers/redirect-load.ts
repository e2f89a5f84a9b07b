// Clients that follow short links as fast as they are answered, and keep books of what they sent and received.
import type { Random } from "./fault-test.ts";
import { type Answer, HttpConnection } from "./http-connection.ts";

/** What the clients know of one code. A click must be stored `received` to `sent` times. */
export interface Tally {
  sent: number;
  /** Redirects that arrived whole. */
  received: number;
}

interface Book extends Tally {
  /** Requests whose answer never came: their clicks may be stored or not. */
  unanswered: number;
}

export interface RedirectLoadOptions {
  readonly codes: readonly string[];
  readonly connections: number;
  readonly random: Random;
  /** Another connection for every request. */
  readonly fresh?: boolean;
  /** A request without an answer after this hangs. */
  readonly patienceMs?: number;
  readonly onAnswer?: (code: string, answer: Answer) => void;
}

const RECONNECT_MS = 5;

/** The books survive `stop` and the next `start`, so that they cover every life of the server. */
export class RedirectLoad {
  readonly tallies: ReadonlyMap<string, Book>;
  /** Answers by status. */
  readonly statuses = new Map<number, number>();
  /** Requests that were given up on, as opposed to those whose connection broke. */
  hung = 0;
  /** Requests whose connection broke. */
  broken = 0;
  /** Connections that nobody took. */
  refused = 0;
  slowestMs = 0;
  received = 0;
  readonly #options: RedirectLoadOptions;
  #clients: Promise<void>[] = [];
  #stopping = false;

  constructor(options: RedirectLoadOptions) {
    this.#options = options;
    this.tallies = new Map(options.codes.map((code) => [code, { sent: 0, received: 0, unanswered: 0 }]));
  }

  get sent(): number {
    return [...this.tallies.values()].reduce((sum, tally) => sum + tally.sent, 0);
  }

  start(url: string): void {
    this.#stopping = false;
    this.#clients = Array.from({ length: this.#options.connections }, () =>
      this.#follow(url, this.#options.random.fork()),
    );
  }

  /** Waits for the answers that are due. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  async #follow(url: string, random: Random): Promise<void> {
    const patienceMs = this.#options.patienceMs ?? 15_000;
    let connection: HttpConnection | undefined;
    while (!this.#stopping) {
      if (connection === undefined || connection.closed)
        connection = await HttpConnection.open(url, patienceMs);
      if (connection === undefined) {
        this.refused++;
        await Bun.sleep(RECONNECT_MS);
        continue;
      }
      await this.#ask(connection, random.pick(this.#options.codes));
      if (this.#options.fresh) connection.close();
    }
    connection?.close();
  }

  async #ask(connection: HttpConnection, code: string): Promise<void> {
    const tally = this.tallies.get(code);
    if (tally === undefined) throw new Error(`${code} has no tally`);
    tally.sent++;
    const answer = await connection.get(code);
    if (typeof answer === "string") {
      tally.unanswered++;
      if (answer === "hung") this.hung++;
      else this.broken++;
      return;
    }
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    this.slowestMs = Math.max(this.slowestMs, answer.endedAtMs - answer.startedAtMs);
    if (answer.status === 302) {
      tally.received++;
      this.received++;
    }
    this.#options.onAnswer?.(code, answer);
  }
}
