// What the clicks domain needs from a store. Implementations: storage/postgres/clicks.ts, and one in memory for tests.
import type { ClickBatch } from "./click.ts";
import type { LedgerFacts } from "./ledger.ts";
import type { StatsFacts, StatsQuery } from "./stats.ts";

/** Why clicks were given up; a closed set, because it labels a metric. */
export const DROP_REASONS = ["queue_full", "shutdown"] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** A process that records clicks, as the ledger knows it. */
export interface Producer {
  readonly id: string;
  readonly recorder: "inline" | "batch";
  readonly ack: "durable" | "async";
}

export interface ClickStore {
  /** Makes the producer known to the ledger; must come before its first batch. Repeating it is harmless. */
  openProducer(producer: Producer): Promise<void>;
  /** What a producer says when it ends in good order: the last batch number that was confirmed, and what it dropped. */
  closeProducer(id: string, lastSeq: number, dropped: Readonly<Record<string, number>>): Promise<void>;
  /**
   * Durable when it resolves, and counted once however often it is called with one (producer, seq).
   * Safe to repeat after any error.
   */
  storeBatch(batch: ClickBatch): Promise<void>;
}

/** Reads for people: both see one consistent moment. */
export interface ClickReader {
  ledgerFacts(): Promise<LedgerFacts>;
  statsFacts(linkId: number, query: StatsQuery): Promise<StatsFacts>;
}
