// Numbers a process's batches and sends each until the store confirms it: the writing half of the click ledger.
import { randomUUID } from "node:crypto";
import { DeadlineError, withDeadline } from "../lib/deadline.ts";
import { interval } from "../lib/loop.ts";
import type { Click, ClickBatch, Producer } from "./click.ts";
import type { ClickStore, DropReason } from "./ports.ts";

export interface BatchSenderOptions {
  readonly store: ClickStore;
  readonly recorder: Producer["recorder"];
  readonly ack: Producer["ack"];
  /** One attempt may take this long; then it is repeated, which is safe. */
  readonly attemptTimeoutMs: number;
  readonly onStored: (clicks: number) => void;
  readonly onDropped: (clicks: number, reason: DropReason) => void;
  /** An attempt failed and will be repeated. */
  readonly onRetry: (error: unknown) => void;
  /** The ledger could not be told that this producer ended. */
  readonly onGoodbyeLost: (error: unknown) => void;
}

const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 1_000;

/** A producer in the sense of the ledger: a random id, and batch numbers 1, 2, 3 … without a gap. */
export class BatchSender {
  readonly #options: BatchSenderOptions;
  readonly #producer: Producer;
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  readonly #stopping = new AbortController();
  #lastSeq = 0;
  #confirmedSeq = 0;

  constructor(options: BatchSenderOptions) {
    this.#options = options;
    this.#producer = { id: randomUUID(), recorder: options.recorder, ack: options.ack };
  }

  /**
   * Sends the clicks as one batch. True once they are durable; false when the sender was stopped first, in which case
   * they may or may not be stored.
   */
  async send(clicks: readonly Click[]): Promise<boolean> {
    const batch = { producer: this.#producer, seq: ++this.#lastSeq, clicks };
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)) {
      if (this.#stopping.signal.aborted) return false;
      try {
        await this.#unlessStopped(this.#attempt(batch));
        this.#confirmedSeq = Math.max(this.#confirmedSeq, batch.seq);
        this.#options.onStored(clicks.length);
        return true;
      } catch (error) {
        if (this.#stopping.signal.aborted) return false;
        // Whatever went wrong, sending the same number again is safe.
        this.#options.onRetry(error);
        await interval(retryMs * (0.5 + Math.random() / 2), this.#stopping.signal);
      }
    }
  }

  /** Gives clicks up, for a reason that the ledger will know. */
  drop(clicks: number, reason: DropReason): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + clicks;
    this.#options.onDropped(clicks, reason);
  }

  /** Ends all attempts; `send` then answers false. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Tells the ledger that this producer ended in good order. Best effort: without it the ledger says "open". */
  async close(): Promise<void> {
    this.stop();
    if (this.#lastSeq === 0 && Object.keys(this.#dropped).length === 0) return;
    try {
      await this.#bounded(
        this.#options.store.closeProducer(this.#producer, this.#confirmedSeq, this.#dropped),
        "closing the click ledger",
      );
    } catch (error) {
      this.#options.onGoodbyeLost(error);
    }
  }

  async #attempt(batch: ClickBatch): Promise<void> {
    await this.#bounded(this.#options.store.storeBatches([batch]), "storing clicks");
  }

  /** A store that hangs must not hold up the end of the process. */
  async #unlessStopped(attempt: Promise<void>): Promise<void> {
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = () => reject(new DeadlineError("storing clicks was cut short"));
    this.#stopping.signal.addEventListener("abort", stop, { once: true });
    try {
      await Promise.race([attempt, stopped]);
    } finally {
      this.#stopping.signal.removeEventListener("abort", stop);
    }
  }

  #bounded<T>(work: Promise<T>, what: string): Promise<T> {
    return withDeadline(work, this.#options.attemptTimeoutMs, what);
  }
}
