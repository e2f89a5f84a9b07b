// Moves batches from a queue into the store: nothing leaves the queue before the store has confirmed it.
import { AppError, errorMessage } from "../lib/errors.ts";
import { interval } from "../lib/loop.ts";
import type { ClickBatch, Producer } from "./click.ts";
import type { ClickStore } from "./ports.ts";

/** What a producer says when it ends in good order. */
export interface Goodbye {
  readonly producer: Producer;
  /** The number of its last batch. */
  readonly lastSeq: number;
  /** Clicks that it gave up, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

export type QueueContent =
  | { readonly kind: "batch"; readonly batch: ClickBatch }
  | { readonly kind: "goodbye"; readonly goodbye: Goodbye }
  | { readonly kind: "unreadable"; readonly reason: string };

export interface QueueEntry {
  readonly id: string;
  readonly bytes: number;
  readonly content: QueueContent;
}

/**
 * Entries that wait to be stored. One that was read belongs to its reader until it is confirmed or buried; if that does not
 * happen for a while, somebody else may read it. So an entry may be read twice, and none is lost.
 */
export interface ClickQueue {
  /** Waits for a moment for entries; there may be none. What an earlier run of this reader left comes first. */
  read(): Promise<readonly QueueEntry[]>;
  /** More entries, without waiting. */
  readMore(): Promise<readonly QueueEntry[]>;
  /** Removes entries, which must be stored. */
  confirm(entries: readonly QueueEntry[]): Promise<void>;
  /** Says that the reader is still at work on them. */
  hold(entries: readonly QueueEntry[]): Promise<void>;
  /** How often an entry was read so far. */
  deliveries(entry: QueueEntry): Promise<number>;
  /** Puts an entry aside, whole, with the reason: an operator decides about it. */
  bury(entry: QueueEntry, reason: string): Promise<void>;
}

/** Lets a number of loops take turns, so that one set of batches is in memory and not one for each. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  async take<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }
}

export interface IngesterOptions {
  readonly queue: ClickQueue;
  readonly store: ClickStore;
  readonly turns: Turns;
  /** Of one transaction; exceeded by at most what one read brings. */
  readonly maxClicks: number;
  readonly maxBytes: number;
  /** After a set that emptied the queue: nobody waits for clicks, and the next set is larger. */
  readonly pauseMs: number;
  /** A batch that the store refuses is put aside when it was read this often. */
  readonly maxDeliveries: number;
  /** 0 up to 1, for the jitter of pauses. */
  readonly random: () => number;
  readonly onStored: (newClicks: number, allClicks: number) => void;
  /** A set is out of the queue; what it took in memory is garbage. */
  readonly onConfirmed: (bytes: number) => void;
  readonly onBuried: (entry: QueueEntry, reason: string) => void;
  /** The store refused this batch, and not because it was away. */
  readonly onRefused: (entry: QueueEntry, error: unknown) => void;
  /** Queue or store are away; it will be tried again. */
  readonly onRetry: (error: unknown) => void;
}

const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2_000;

/** One loop: read a set, store it in one transaction, confirm it. */
export class Ingester {
  readonly #options: IngesterOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: IngesterOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Finishes the set under way, unless the store is away, and ends. What is not confirmed stays in the queue. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { queue, turns, pauseMs } = this.#options;
    let failures = 0;
    while (!this.#stopped) {
      try {
        const first = await queue.read();
        if (first.length > 0 && (await turns.take(() => this.#ingest(first))) === "emptied")
          await interval(pauseMs, this.#stopping.signal);
        failures = 0;
      } catch (error) {
        this.#options.onRetry(error);
        await this.#pause(failures++);
      }
    }
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** While the store was busy, entries piled up: one large transaction is cheaper than many small ones. */
  async #fill(first: readonly QueueEntry[]): Promise<{ entries: readonly QueueEntry[]; full: boolean }> {
    const { queue, maxClicks, maxBytes } = this.#options;
    const entries: QueueEntry[] = [];
    let bytes = 0;
    let clicks = 0;
    for (let more = first; more.length > 0; more = await queue.readMore()) {
      entries.push(...more);
      for (const entry of more) bytes += entry.bytes;
      clicks += clicksOf(batchesOf(more));
      if (bytes >= maxBytes || clicks >= maxClicks || this.#stopped) return { entries, full: true };
    }
    return { entries, full: false };
  }

  async #ingest(first: readonly QueueEntry[]): Promise<"emptied" | "more"> {
    const { entries, full } = await this.#fill(first);
    const readable: QueueEntry[] = [];
    for (const entry of entries) {
      if (entry.content.kind === "unreadable") await this.#bury(entry, entry.content.reason);
      else readable.push(entry);
    }
    await this.#storeSet(readable);
    return full ? "more" : "emptied";
  }

  /** Halves a set that the store refuses until the batch it means stands alone. */
  async #storeSet(entries: readonly QueueEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const refusal = await this.#untilAnswered(entries);
    if (refusal === STOPPED) return;
    if (refusal === STORED) return this.#confirm(entries);
    const [only] = entries;
    if (only !== undefined && entries.length === 1) return this.#refused(only, refusal.error);
    const middle = entries.length >> 1;
    await this.#storeSet(entries.slice(0, middle));
    await this.#storeSet(entries.slice(middle));
  }

  async #confirm(entries: readonly QueueEntry[]): Promise<void> {
    await this.#options.queue.confirm(entries);
    this.#options.onConfirmed(entries.reduce((sum, { bytes }) => sum + bytes, 0));
  }

  /** Tries for as long as the store is away. */
  async #untilAnswered(
    entries: readonly QueueEntry[],
  ): Promise<typeof STORED | typeof STOPPED | { error: unknown }> {
    for (let failures = 0; ; failures++) {
      try {
        await this.#store(entries);
        return STORED;
      } catch (error) {
        if (!isAway(error)) return { error };
        if (this.#stopped) return STOPPED;
        this.#options.onRetry(error);
        await this.#options.queue.hold(entries);
        await this.#pause(failures);
      }
    }
  }

  /** Batches first: a goodbye speaks about them. */
  async #store(entries: readonly QueueEntry[]): Promise<void> {
    const { store, onStored } = this.#options;
    const batches = batchesOf(entries);
    if (batches.length > 0) onStored(await store.storeBatches(batches), clicksOf(batches));
    for (const { content } of entries) {
      if (content.kind !== "goodbye") continue;
      const { producer, lastSeq, dropped } = content.goodbye;
      await store.closeProducer(producer, lastSeq, dropped);
    }
  }

  /** It stays in the queue and comes again when it has lain for a while, until it has come too often. */
  async #refused(entry: QueueEntry, error: unknown): Promise<void> {
    const { queue, maxDeliveries, onRefused } = this.#options;
    onRefused(entry, error);
    if ((await queue.deliveries(entry)) < maxDeliveries) return;
    await this.#bury(entry, errorMessage(error));
  }

  async #bury(entry: QueueEntry, reason: string): Promise<void> {
    await this.#options.queue.bury(entry, reason);
    this.#options.onBuried(entry, reason);
  }

  async #pause(failures: number): Promise<void> {
    const ms = Math.min(FIRST_PAUSE_MS * 2 ** failures, LAST_PAUSE_MS);
    await interval(ms * (0.5 + this.#options.random() / 2), this.#stopping.signal);
  }
}

const STORED = Symbol("stored");
const STOPPED = Symbol("stopped");

function isAway(error: unknown): boolean {
  return error instanceof AppError && error.code === "TEMPORARILY_UNAVAILABLE";
}

function batchesOf(entries: readonly QueueEntry[]): readonly ClickBatch[] {
  return entries.flatMap(({ content }) => (content.kind === "batch" ? [content.batch] : []));
}

function clicksOf(batches: readonly ClickBatch[]): number {
  return batches.reduce((sum, batch) => sum + batch.clicks.length, 0);
}
