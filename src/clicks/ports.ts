// What the clicks domain needs from a store. Implementations: storage/postgres/clicks.ts, and one in memory for tests.
import type { ClickBatch, Producer } from "./click.ts";
import type { LedgerFacts } from "./ledger.ts";
import type { StatsFacts, StatsQuery } from "./stats.ts";
import type { BatchName } from "./transit.ts";

/** Why clicks were given up; a closed set, because it labels a metric. */
export const DROP_REASONS = ["queue_full", "shutdown", "spool_full", "spool_failed"] as const;
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

/** What became of a record: only "spooled" is durable. After "spool_full" the disk surely doesn't hold it. */
export type SpoolOutcome = "spooled" | "spool_full" | "spool_failed";

/** A durable queue in this machine, for batches that the store doesn't take now. Implementation: storage/spool.ts. */
export interface ClickSpool<
  Spooled extends { readonly payload: Uint8Array } = { readonly payload: Uint8Array },
> {
  /** Bytes of records that were not removed, on the disk or on their way there; 0 when nothing waits. */
  readonly waitingBytes: number;
  /** Bytes that it takes on the disk: space comes back in steps, behind `remove`. */
  readonly bytes: number;
  /** False when `append` of a record of so many bytes would say "spool_full" now. */
  hasRoom(bytes: number): boolean;
  /** Answers when the record is as durable as it will be; never rejects. */
  append(record: Uint8Array): Promise<SpoolOutcome>;
  /** The oldest records, a bounded piece of them, and the same ones until they are removed; none when there are none. */
  read(): Promise<readonly Spooled[]>;
  /** These were delivered. Until a crash at least: then they may be read again. */
  remove(records: readonly Spooled[]): Promise<void>;
  /** Takes a record that cannot be delivered out of the queue and keeps it for people to look at. */
  setAside(record: Spooled): Promise<void>;
  /** Takes over what dead processes left; it is read first. */
  adopt(): Promise<void>;
  /** What was not removed stays for the next process. */
  close(): Promise<void>;
}

/** Reads for people: both see one consistent moment. */
export interface ClickReader {
  /** Of `moving`, those that are stored are `landed`. */
  ledgerFacts(moving?: readonly BatchName[]): Promise<LedgerFacts>;
  statsFacts(linkId: number, query: StatsQuery): Promise<StatsFacts>;
}
