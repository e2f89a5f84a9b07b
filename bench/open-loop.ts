// Requests at times that do not depend on the answers, as a public sends them; latency counts from when each was due.
import { Connection, type Reply, type Unanswered } from "./connection.ts";

export interface Exchange {
  readonly request: string;
  /**
   * Called once, with the answer.
   * @param latencyMs from when it was due: what it waited because earlier answers were slow is in it
   * @param lateMs from when it was due until the generator turned to it, which is nobody's fault but its own
   */
  done(reply: Reply | Unanswered, latencyMs: number, lateMs: number): void;
}

export interface OpenLoopOptions {
  readonly url: string;
  /** On average; the times are those of a Poisson process. */
  readonly perSecond: number;
  readonly seconds: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly next: () => Exchange;
  readonly signal: AbortSignal;
}

interface Due {
  readonly exchange: Exchange;
  readonly dueMs: number;
  readonly lateMs: number;
}

export const CONNECTIONS = 64;
/** A request without an answer after this hangs. */
const PATIENCE_MS = 30_000;
/** More than these waiting for a connection are no backlog any more: the server does not keep up. */
const MAX_WAITING = 100_000;
const RECONNECT_MS = 100;

/** Resolves when everything that was due is answered. @throws when the server does not keep up, or the signal fires */
export async function runOpenLoop(options: OpenLoopOptions): Promise<void> {
  const { perSecond, seconds, random, next, signal } = options;
  await using loop = await Senders.open(options.url);
  const meanMs = 1_000 / perSecond;
  let dueMs = performance.now();
  const endMs = dueMs + seconds * 1_000;
  while (dueMs < endMs) {
    signal.throwIfAborted();
    const nowMs = performance.now();
    for (; dueMs <= nowMs && dueMs < endMs; dueMs += -Math.log(1 - random()) * meanMs)
      loop.add({ exchange: next(), dueMs, lateMs: nowMs - dueMs });
    await Bun.sleep(1);
  }
  await loop.finish();
  signal.throwIfAborted();
}

/** Every one of these as soon as a connection is free, for a server that is to do much in little time. */
export async function runClosedLoop(
  url: string,
  exchanges: Iterable<Exchange>,
  signal: AbortSignal,
): Promise<void> {
  await using loop = await Senders.open(url);
  for (const exchange of exchanges) loop.add({ exchange, dueMs: performance.now(), lateMs: 0 });
  await loop.finish();
  signal.throwIfAborted();
}

/** Connections that take what is due, in order; the one that has rested longest first, so that none goes to sleep. */
class Senders {
  readonly #url: string;
  readonly #waiting: Due[] = [];
  readonly #idle: ((due: Due | undefined) => void)[] = [];
  #finishing = false;
  #senders: Promise<void>[] = [];

  private constructor(url: string) {
    this.#url = url;
  }

  static async open(url: string): Promise<Senders> {
    const senders = new Senders(url);
    const connections = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => Connection.open(url, PATIENCE_MS)),
    );
    senders.#senders = connections.map((connection) => senders.#work(connection));
    return senders;
  }

  add(due: Due): void {
    const idle = this.#idle.shift();
    if (idle !== undefined) return idle(due);
    if (this.#waiting.length >= MAX_WAITING)
      throw new Error(`${MAX_WAITING} requests wait for a connection: the server does not keep up`);
    this.#waiting.push(due);
  }

  /** Until all that was added is answered. */
  async finish(): Promise<void> {
    this.#finishing = true;
    for (const idle of this.#idle.splice(0)) idle(undefined);
    await Promise.all(this.#senders);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.length = 0;
    await this.finish();
  }

  async #work(first: Connection): Promise<void> {
    let connection = first;
    for (;;) {
      const due = this.#waiting.shift() ?? (await this.#nextDue());
      if (due === undefined) break;
      connection = await this.#revive(connection);
      const reply = await connection.send(due.exchange.request);
      due.exchange.done(reply, performance.now() - due.dueMs, due.lateMs);
    }
    connection.close();
  }

  async #nextDue(): Promise<Due | undefined> {
    if (this.#finishing) return undefined;
    const { promise, resolve } = Promise.withResolvers<Due | undefined>();
    this.#idle.push(resolve);
    return promise;
  }

  /** A server that is not there makes the run fail by what was not answered, not by an endless wait. */
  async #revive(connection: Connection): Promise<Connection> {
    if (!connection.closed) return connection;
    try {
      return await Connection.open(this.#url, PATIENCE_MS);
    } catch {
      await Bun.sleep(RECONNECT_MS);
      return connection;
    }
  }
}
