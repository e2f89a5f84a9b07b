// A click store that keeps the ledger's promise in a map, counts what it is sent, and can be told to be away or to refuse.
import type { ClickBatch, Producer } from "../../src/clicks/click.ts";
import type { ClickStore } from "../../src/clicks/ports.ts";
import { AppError } from "../../src/lib/errors.ts";

export class LedgerStore implements ClickStore {
  /** Clicks of each stored batch, by producer and number. */
  readonly batches = new Map<string, number>();
  readonly goodbyes: { producer: Producer; lastSeq: number; dropped: Readonly<Record<string, number>> }[] =
    [];
  /** Batches that were sent, those that were stored already included. */
  sent = 0;
  /** Transactions. */
  calls = 0;
  away = false;
  /** Numbers of batches that are refused, with all that are stored in the same transaction. */
  readonly poisoned = new Set<number>();
  /** Runs within a transaction, before it commits. */
  beforeCommit: () => Promise<void> = async () => undefined;

  get clicks(): number {
    return [...this.batches.values()].reduce((sum, clicks) => sum + clicks, 0);
  }

  has({ producer, seq }: ClickBatch): boolean {
    return this.batches.has(`${producer.id} ${seq}`);
  }

  async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    this.calls++;
    this.sent += batches.length;
    if (this.away) throw new AppError("TEMPORARILY_UNAVAILABLE", "the store is away");
    if (batches.some(({ seq }) => this.poisoned.has(seq))) throw new Error("value too long");
    await this.beforeCommit();
    let stored = 0;
    for (const batch of batches) {
      if (this.has(batch)) continue;
      this.batches.set(`${batch.producer.id} ${batch.seq}`, batch.clicks.length);
      stored += batch.clicks.length;
    }
    return stored;
  }

  async closeProducer(
    producer: Producer,
    lastSeq: number,
    dropped: Readonly<Record<string, number>>,
  ): Promise<void> {
    if (this.away) throw new AppError("TEMPORARILY_UNAVAILABLE", "the store is away");
    this.goodbyes.push({ producer, lastSeq, dropped });
  }
}
