// Decides whether the click ledger balances, from facts that a store gathered.

/** What the store knows of one producer. */
export interface ProducerFacts {
  readonly id: string;
  readonly recorder: string;
  readonly ack: string;
  readonly ended: boolean;
  /** The number of its last batch as it said when it ended; null while it has not. */
  readonly lastSeq: number | null;
  /** The highest number stored. */
  readonly maxSeq: number;
  /** Batches stored. */
  readonly batches: number;
  readonly clicks: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** The first missing numbers, at most `MISSING_SHOWN`. */
  readonly missing: readonly number[];
}

/** Counts of one moment, each from a table of its own. */
export interface LedgerFacts {
  readonly producers: readonly ProducerFacts[];
  /** Of confirmed batches. */
  readonly batchClicks: number;
  /** In Postgres, as rows or in the queue. */
  readonly storedClicks: number;
  /** Those of them that are about to become rows. */
  readonly queuedClicks: number;
  /** Rows that were dropped after HOP_CLICKS_RETENTION_DAYS. */
  readonly retiredClicks: number;
  /** In the totals. */
  readonly totalledClicks: number;
  /** In the dimensions. */
  readonly sortedClicks: number;
  /** In the totals, and about to be added to the dimensions. */
  readonly unsortedClicks: number;
}

export type Verdict = "balanced" | "unbalanced" | "undecided";

export interface LedgerReport extends LedgerFacts {
  readonly verdict: Verdict;
  /** Why, in sentences; empty when it balances. */
  readonly reasons: readonly string[];
  readonly dropped: Readonly<Record<string, number>>;
}

/** Missing numbers that are named per producer. */
export const MISSING_SHOWN = 10;

/**
 * Independent counts must agree (batches, rows, totals, dimensions) and no producer may miss a number. A durable producer that
 * never said goodbye is balanced, since it answers only what is stored; one that answers first (ack=async) is undecided.
 */
export function judgeLedger(facts: LedgerFacts): LedgerReport {
  const losses = [...facts.producers.flatMap(missingBatches), ...disagreements(facts)];
  const doubts = facts.producers
    .filter((producer) => producer.ack === "async" && !producer.ended)
    .map(
      (producer) =>
        `producer ${producer.id} answers before it stores (HOP_CLICKS_ACK=async) and has not ended: clicks may be in its memory, or lost with it`,
    );
  return {
    ...facts,
    verdict: losses.length > 0 ? "unbalanced" : doubts.length > 0 ? "undecided" : "balanced",
    reasons: [...losses, ...doubts],
    dropped: addUp(facts.producers.map((producer) => producer.dropped)),
  };
}

function missingBatches(producer: ProducerFacts): string[] {
  // Inline batches travel side by side and each redirect waits for its own: a gap is a redirect that was never answered.
  if (producer.recorder === "inline") return [];
  const expected = Math.max(producer.lastSeq ?? 0, producer.maxSeq);
  const missing = expected - producer.batches;
  if (missing === 0) return [];
  const named = producer.missing.join(", ");
  const more = missing > producer.missing.length ? ", …" : "";
  return [`producer ${producer.id} lacks ${missing} of ${expected} batches (numbers ${named}${more})`];
}

function disagreements(facts: LedgerFacts): string[] {
  const { batchClicks, queuedClicks, storedClicks, retiredClicks, totalledClicks } = facts;
  const everStored = storedClicks + retiredClicks;
  const reasons: string[] = [];
  if (everStored < batchClicks)
    reasons.push(`${batchClicks - everStored} clicks of confirmed batches are not stored`);
  if (everStored > batchClicks)
    reasons.push(`${everStored - batchClicks} clicks are stored more often than they were recorded`);
  if (totalledClicks + queuedClicks !== batchClicks) {
    reasons.push(
      `totals count ${totalledClicks} clicks and ${queuedClicks} are on their way, batches count ${batchClicks}`,
    );
  }
  const sorted = facts.sortedClicks + facts.unsortedClicks;
  if (sorted !== totalledClicks)
    reasons.push(
      `dimensions count ${facts.sortedClicks} clicks and ${facts.unsortedClicks} are on their way, totals count ${totalledClicks}`,
    );
  return reasons;
}

function addUp(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, value] of parts.flatMap((part) => Object.entries(part)))
    sums[name] = (sums[name] ?? 0) + value;
  return sums;
}
