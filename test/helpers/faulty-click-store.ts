// A click store in memory that can be told to fail, to hang, or to store and lose its answer.
import type { Click, ClickBatch, Producer } from "../../src/clicks/click.ts";
import type { ClickStore } from "../../src/clicks/ports.ts";

/** What happens to a batch: `lost answer` is an error although the batch was stored. */
export type StoreMode = "store" | "fail" | "hang" | "lost answer";

interface Goodbye {
  readonly producer: Producer;
  readonly lastSeq: number;
  readonly dropped: Readonly<Record<string, number>>;
}

export class FaultyClickStore implements ClickStore {
  /** Every batch of every attempt to store, in order. */
  readonly attempts: ClickBatch[] = [];
  /** How many batches came with each call. */
  readonly calls: number[] = [];
  readonly goodbyes: Goodbye[] = [];
  /** What the next attempts meet, one each; then `mode`. */
  readonly script: StoreMode[] = [];
  mode: StoreMode = "store";
  /** Batches that it never takes, nor any that come with them. */
  refuses: (batch: ClickBatch) => boolean = () => false;
  inFlight = 0;
  mostInFlight = 0;
  readonly #batches = new Map<string, ClickBatch>();
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
    this.goodbyes.push({ producer, lastSeq, dropped: { ...dropped } });
  }

  async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    this.attempts.push(...batches);
    this.calls.push(batches.length);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    try {
      const mode = this.script.shift() ?? this.mode;
      await this.#meet(mode);
      if (batches.some(this.refuses)) throw new Error("the store refuses a batch");
      const fresh = batches.filter((batch) => !this.#batches.has(keyOf(batch)));
      for (const batch of fresh) this.#batches.set(keyOf(batch), { ...batch, clicks: [...batch.clicks] });
      if (mode === "lost answer") throw new Error("the answer was lost");
      return fresh.reduce((sum, { clicks }) => sum + clicks.length, 0);
    } finally {
      this.inFlight--;
    }
  }

  /** Everything stored, in the order of storing. */
  get stored(): readonly Click[] {
    return [...this.#batches.values()].flatMap((batch) => batch.clicks);
  }

  /** `producer seq` of every number that lies below another or below a goodbye and was not stored. */
  get missing(): string[] {
    const highest = new Map<string, number>();
    const reach = (id: string, seq: number) => highest.set(id, Math.max(seq, highest.get(id) ?? 0));
    for (const { producer, seq } of this.#batches.values()) reach(producer.id, seq);
    for (const { producer, lastSeq } of this.goodbyes) reach(producer.id, lastSeq);
    return [...highest]
      .flatMap(([id, last]) => Array.from({ length: last }, (_, index) => `${id} ${index + 1}`))
      .filter((key) => !this.#batches.has(key));
  }

  async #meet(mode: StoreMode): Promise<void> {
    if (mode === "hang") await this.#released.promise;
    else await Promise.resolve();
    if (mode === "fail") throw new Error("the store is away");
  }
}

function keyOf({ producer, seq }: ClickBatch): string {
  return `${producer.id} ${seq}`;
}
