// What the clicks domain needs from a store. Implementations: storage/postgres/clicks.ts, and one in memory for tests.
import type { ClickBatch, Producer } from "./click.ts";
import type { LedgerFacts } from "./ledger.ts";
import type { StatsFacts, StatsQuery } from "./stats.ts";

/** Why clicks were given up; a closed set, because it labels a metric. */
export const DROP_REASONS = ["queue_full", "shutdown"] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export interface ClickStore {
  /**
   * Durable when it resolves: all of the batches or none. Each counts once, however often it is sent; its producer becomes
   * known to the ledger with its first batch. Safe to repeat after any error.
   * @returns the clicks of batches that were new
   */
  storeBatches(batches: readonly ClickBatch[]): Promise<number>;
  /** What a producer says when it ends in good order: the number of its last batch, and what it dropped. */
  closeProducer(
    producer: Producer,
    lastSeq: number,
    dropped: Readonly<Record<string, number>>,
  ): Promise<void>;
}

/** Reads for people: both see one consistent moment. */
export interface ClickReader {
  ledgerFacts(): Promise<LedgerFacts>;
  statsFacts(linkId: number, query: StatsQuery): Promise<StatsFacts>;
}
