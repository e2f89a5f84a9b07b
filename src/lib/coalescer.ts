// Group commit for any asynchronous work: one call in flight, everything that arrives meanwhile forms the next call.
import { AppError } from "./errors.ts";

export interface CoalescerOptions<T, R> {
  /** Does the work for a batch; answers in the order of its items. A rejection fails every item of the batch. */
  readonly run: (items: readonly T[]) => Promise<readonly R[]>;
  /** Items in one call. */
  readonly maxBatch: number;
  /** Items that may wait; more are refused with TEMPORARILY_UNAVAILABLE. */
  readonly maxQueued: number;
}

interface Waiting<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Turns many small calls into few large ones without a timer: an idle coalescer adds no wait, a busy one makes big
 * batches. The idea is group commit (DeWitt et al., "Implementation techniques for main memory database systems", 1984).
 */
export class Coalescer<T, R> {
  readonly #options: CoalescerOptions<T, R>;
  #queue: Waiting<T, R>[] = [];
  #running: Promise<void> | undefined;

  constructor(options: CoalescerOptions<T, R>) {
    this.#options = options;
  }

  /** Resolves with the item's own result; rejects with TEMPORARILY_UNAVAILABLE when too much waits already. */
  submit(item: T): Promise<R> {
    if (this.#queue.length >= this.#options.maxQueued) {
      return Promise.reject(
        new AppError("TEMPORARILY_UNAVAILABLE", "Too many requests are waiting; try again."),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#queue.push({ item, resolve, reject });
    this.#running ??= this.#drain();
    return promise;
  }

  /** Resolves when nothing is waiting or in flight. Never rejects. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #drain(): Promise<void> {
    // Let every request of this turn of the event loop join the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, this.#options.maxBatch);
      try {
        const results = await this.#options.run(batch.map((waiting) => waiting.item));
        if (results.length !== batch.length) {
          throw new Error(`a batch of ${batch.length} got ${results.length} results`);
        }
        // The lengths are equal, so every index holds a result (R may itself include undefined).
        batch.forEach((waiting, index) => waiting.resolve(results[index] as R));
      } catch (error) {
        for (const waiting of batch) waiting.reject(error);
      }
    }
    this.#running = undefined;
  }
}
