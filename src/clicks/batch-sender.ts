// Numbers a process's batches and makes each durable, in the store or else in the spool: the writing half of the ledger.
import { randomUUID } from "node:crypto";
import { DeadlineError, withDeadline } from "../lib/deadline.ts";
import type { Click, ClickBatch, Producer } from "./click.ts";
import type { ClickSpool, ClickStore, DropReason, SpoolOutcome } from "./ports.ts";
import { encodeOrNothing, type SpoolShipper } from "./spool-shipper.ts";

export interface BatchSenderOptions {
  readonly store: ClickStore;
  readonly spool: ClickSpool;
  /** Delivers what this sender spools; the sender closes it. */
  readonly shipper: SpoolShipper;
  readonly recorder: Producer["recorder"];
  readonly ack: Producer["ack"];
  /** The store may take this long to confirm; then the batch goes to the spool. */
  readonly waitMs: number;
  /** The disk may take this long; then the batch is held in memory and its redirects are answered. */
  readonly spoolTimeoutMs: number;
  /** The ledger may take this long to hear that this producer ended. */
  readonly closeTimeoutMs: number;
  readonly onStored: (clicks: number) => void;
  readonly onSpooled: (clicks: number) => void;
  readonly onDropped: (clicks: number, reason: DropReason) => void;
  /** The store did not confirm a batch in time. */
  readonly onRetry: (error: unknown) => void;
  /** The ledger could not be told that this producer ended. */
  readonly onGoodbyeLost: (error: unknown) => void;
}

/**
 * A producer in the sense of the ledger: a random id, and batch numbers 1, 2, 3 … without a gap. A number is taken only by
 * a batch that will be stored some day, and never by two.
 */
export class BatchSender {
  readonly #options: BatchSenderOptions;
  readonly #producer: Producer;
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  readonly #stopping = new AbortController();
  #lastSeq = 0;
  #closed = false;

  constructor(options: BatchSenderOptions) {
    this.#options = options;
    this.#producer = { id: randomUUID(), recorder: options.recorder, ack: options.ack };
  }

  get producer(): Producer {
    return this.#producer;
  }

  /**
   * Makes the clicks durable as one batch, or gives them up and counts them.
   * @returns true when their redirects may be answered; false when the sender is closed, and then nothing was done
   */
  async send(clicks: readonly Click[]): Promise<boolean> {
    if (this.#closed) return false;
    const { shipper, waitMs } = this.#options;
    const first = shipper.idle || (await shipper.caughtUp(waitMs));
    if (first && !this.#stopping.signal.aborted) await this.#sendDirectly(clicks);
    else await this.#sendBehindOthers(clicks);
    return true;
  }

  /** Gives clicks up, for a reason that the ledger will know. */
  drop(clicks: number, reason: DropReason): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + clicks;
    this.#options.onDropped(clicks, reason);
  }

  /** Ends all waiting for the store: batches go to the spool from now on. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Ships what waits, within `deadlineMs`, and tells the ledger that this producer ended in good order. Best effort: the
   * rest stays in the spool for the next process, and the ledger says "open".
   */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    this.stop();
    const { shipper, spool, store, closeTimeoutMs, onGoodbyeLost } = this.#options;
    for (const { batch, reason } of await shipper.close(deadlineMs)) this.drop(batch.clicks.length, reason);
    try {
      if (!shipper.idle) throw new Error("clicks wait in the spool for the next process");
      const known = this.#lastSeq > 0 || this.#producer.ack === "async";
      if (known || Object.keys(this.#dropped).length > 0) {
        const goodbye = store.closeProducer(this.#producer, this.#lastSeq, this.#dropped);
        await withDeadline(goodbye, closeTimeoutMs, "closing the click ledger");
      }
    } catch (error) {
      onGoodbyeLost(error);
    }
    await withDeadline(spool.close(), closeTimeoutMs, "closing the spool").catch(onGoodbyeLost);
  }

  async #sendDirectly(clicks: readonly Click[]): Promise<void> {
    const batch = this.#number(clicks);
    try {
      await this.#confirmed(batch);
      this.#options.onStored(clicks.length);
      return;
    } catch (error) {
      // Whatever went wrong, it may be stored nevertheless: sending the same number again is safe.
      this.#options.shipper.storeFailed();
      this.#options.onRetry(error);
    }
    const bytes = encodeOrNothing(batch);
    this.#settle(batch, bytes === undefined ? "spool_failed" : await this.#spooled(bytes));
  }

  async #sendBehindOthers(clicks: readonly Click[]): Promise<void> {
    const { shipper, spool } = this.#options;
    if (shipper.full) return this.drop(clicks.length, "spool_failed");
    const batch = this.#number(clicks);
    const bytes = encodeOrNothing(batch);
    if (bytes === undefined) return this.#settle(batch, "spool_failed");
    if (spool.hasRoom(bytes.length)) return this.#settle(batch, await this.#spooled(bytes));
    // Nobody has seen this number, and nobody took one meanwhile.
    this.#lastSeq--;
    // While the spool is being shipped, waiting for the store is better than dropping.
    if (shipper.storeAway || this.#stopping.signal.aborted) this.drop(clicks.length, "spool_full");
    else await this.#sendDirectly(clicks);
  }

  #settle(batch: ClickBatch, outcome: SpoolOutcome): void {
    const { shipper, onSpooled } = this.#options;
    if (outcome !== "spooled") return shipper.hold({ batch, reason: outcome });
    onSpooled(batch.clicks.length);
    shipper.wake();
  }

  #number(clicks: readonly Click[]): ClickBatch {
    return { producer: this.#producer, seq: ++this.#lastSeq, clicks };
  }

  /** A disk may hang; if it takes the record later after all, that is sent twice, which is harmless. */
  async #spooled(bytes: Uint8Array): Promise<SpoolOutcome> {
    const { spool, spoolTimeoutMs } = this.#options;
    try {
      return await withDeadline(spool.append(bytes), spoolTimeoutMs, "spooling clicks");
    } catch (error) {
      if (error instanceof DeadlineError) return "spool_failed";
      throw error;
    }
  }

  async #confirmed(batch: ClickBatch): Promise<void> {
    const { store, waitMs } = this.#options;
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = () => reject(new DeadlineError("storing clicks was cut short"));
    this.#stopping.signal.addEventListener("abort", stop, { once: true });
    try {
      await Promise.race([withDeadline(store.storeBatches([batch]), waitMs, "storing clicks"), stopped]);
    } finally {
      this.#stopping.signal.removeEventListener("abort", stop);
    }
  }
}
