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

/**
 * A public opens connections of its own while earlier ones wait. With 64 and no more, a disk that took a second to sync held
 * a batch, and with it the rate, to 64 clicks a second.
 */
const MAX_CONNECTIONS = 1_000;
const CLOSED_CONNECTIONS = 64;
/** A request without an answer after this hangs. */
const PATIENCE_MS = 30_000;
/** More than these waiting for a connection are no backlog any more: the server does not keep up. */
const MAX_WAITING = 100_000;
const RECONNECT_MS = 100;

/** Resolves when everything that was due is answered. @throws when the server does not keep up, or the signal fires */
export async function runOpenLoop(options: OpenLoopOptions): Promise<void> {
  const { perSecond, seconds, random, next, signal } = options;
  await using loop = new Senders(options.url, MAX_CONNECTIONS);
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
  await using loop = new Senders(url, CLOSED_CONNECTIONS);
  for (const exchange of exchanges) loop.add({ exchange, dueMs: performance.now(), lateMs: 0 });
  await loop.finish();
  signal.throwIfAborted();
}

/** Connections that take what is due, in order; the one that has rested longest first, so that none goes to sleep. */
class Senders {
  readonly #url: string;
  readonly #most: number;
  readonly #waiting: Due[] = [];
  readonly #idle: ((due: Due | undefined) => void)[] = [];
  readonly #senders: Promise<void>[] = [];
  #finishing = false;

  constructor(url: string, most: number) {
    this.#url = url;
    this.#most = most;
  }

  add(due: Due): void {
    const idle = this.#idle.shift();
    if (idle !== undefined) return idle(due);
    if (this.#senders.length < this.#most) {
      this.#senders.push(this.#work(due));
      return;
    }
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

  async #work(first: Due): Promise<void> {
    let connection: Connection | undefined;
    let due: Due | undefined = first;
    while (due !== undefined) {
      if (connection === undefined || connection.closed) connection = await this.#connect();
      const reply = (await connection?.send(due.exchange.request)) ?? "closed";
      due.exchange.done(reply, performance.now() - due.dueMs, due.lateMs);
      due = this.#waiting.shift() ?? (await this.#nextDue());
    }
    connection?.close();
  }

  async #nextDue(): Promise<Due | undefined> {
    if (this.#finishing) return undefined;
    const { promise, resolve } = Promise.withResolvers<Due | undefined>();
    this.#idle.push(resolve);
    return promise;
  }

  /** A server that is not there makes the run fail by what was not answered, not by an endless wait. */
  async #connect(): Promise<Connection | undefined> {
    try {
      return await Connection.open(this.#url, PATIENCE_MS);
    } catch {
      await Bun.sleep(RECONNECT_MS);
      return undefined;
    }
  }
}
