// A click store that can be told to fail, to hang, or to store and lose its answer.
import type { ClickBatch, Producer } from "../../src/clicks/click.ts";
import type { ClickStore } from "../../src/clicks/ports.ts";
import { MemoryClickStore } from "../contract/memory-clicks.ts";

/** What happens to a batch: `lost answer` is an error although the batch was stored. */
export type StoreMode = "store" | "fail" | "hang" | "lost answer";

export class FaultyClickStore implements ClickStore {
  readonly memory = new MemoryClickStore();
  /** Every attempt to store, in order. */
  readonly attempts: ClickBatch[] = [];
  /** What the next attempts meet, one each; then `mode`. */
  readonly script: StoreMode[] = [];
  mode: StoreMode = "store";
  inFlight = 0;
  mostInFlight = 0;
  #released = Promise.withResolvers<void>();

  /** Lets go everything that hangs; hung batches are then stored, however late that is. */
  release(): void {
    this.mode = "store";
    this.#released.resolve();
    this.#released = Promise.withResolvers();
  }

  async closeProducer(
    producer: Producer,
    lastSeq: number,
    dropped: Readonly<Record<string, number>>,
  ): Promise<void> {
    await this.#meet(this.mode);
    await this.memory.closeProducer(producer, lastSeq, dropped);
  }

  async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    this.attempts.push(...batches);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    try {
      const mode = this.script.shift() ?? this.mode;
      await this.#meet(mode);
      const stored = await this.memory.storeBatches(batches);
      if (mode === "lost answer") throw new Error("the answer was lost");
      return stored;
    } finally {
      this.inFlight--;
    }
  }

  async #meet(mode: StoreMode): Promise<void> {
    if (mode === "hang") await this.#released.promise;
    else await Promise.resolve();
    if (mode === "fail") throw new Error("the store is away");
  }
}
