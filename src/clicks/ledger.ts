// Decides whether the click ledger balances, from facts that a store gathered.
import {
  type BatchName,
  NOTHING_IN_TRANSIT,
  type PendingReader,
  type Transit,
  type TransitBatch,
  type TransitState,
  underWay,
} from "./transit.ts";

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
  /** Of the batches that the store was asked about, those that it has. */
  readonly landed?: readonly BatchName[];
}

export type Verdict = "balanced" | "unbalanced" | "undecided";

export interface LedgerReport extends Omit<LedgerFacts, "landed"> {
  /** Clicks that are known to have been served: stored, on their way, put aside or dropped. */
  readonly servedClicks: number;
  /** In the stream. */
  readonly waitingClicks: number;
  readonly waitingBatches: number;
  /** Of the stream's batches, those that a worker has read and not confirmed. */
  readonly readers: readonly PendingReader[];
  /** In the spool of this machine. */
  readonly spooledClicks: number;
  readonly spooledBatches: number;
  /** Put aside, because they could not be stored. */
  readonly deadClicks: number;
  readonly deadBatches: number;
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
export function judgeLedger(given: LedgerFacts, transit: Transit = NOTHING_IN_TRANSIT): LedgerReport {
  const { landed = [], ...facts } = given;
  const moving = underWay(transit.batches, landed);
  const gaps = facts.producers.flatMap((producer) => findGap(producer, moving, transit.complete) ?? []);
  const losses = [
    ...gaps.filter(({ proven }) => proven).map(({ reason }) => reason),
    ...disagreements(facts),
  ];
  const waiting = sumOf(moving, "waiting");
  const spooled = sumOf(moving, "spooled");
  const dead = sumOf(moving, "dead");
  const dropped = addUp(facts.producers.map((producer) => producer.dropped));
  const doubts = [
    ...gaps.filter(({ proven }) => !proven).map(({ reason }) => reason),
    ...facts.producers
      .filter((producer) => producer.ack === "async" && !producer.ended)
      .map(
        (producer) =>
          `producer ${producer.id} answers before it stores (HOP_CLICKS_ACK=async) and has not ended: clicks may be in its memory, or lost with it`,
      ),
    ...(dead.clicks > 0
      ? [
          `${dead.clicks} clicks could not be stored and were put aside; see hop dead list, and *.bad files in HOP_DATA_DIR/spool`,
        ]
      : []),
  ];
  const droppedClicks = Object.values(dropped).reduce((sum, clicks) => sum + clicks, 0);
  return {
    ...facts,
    servedClicks: facts.batchClicks + waiting.clicks + spooled.clicks + dead.clicks + droppedClicks,
    waitingClicks: waiting.clicks,
    waitingBatches: waiting.batches,
    readers: transit.readers,
    spooledClicks: spooled.clicks,
    spooledBatches: spooled.batches,
    deadClicks: dead.clicks,
    deadBatches: dead.batches,
    verdict: losses.length > 0 ? "unbalanced" : doubts.length > 0 ? "undecided" : "balanced",
    reasons: [...losses, ...doubts],
    dropped,
  };
}

/** Numbers that are neither stored nor under way: a loss, or a doubt when not all could be looked at. */
function findGap(
  producer: ProducerFacts,
  moving: readonly TransitBatch[],
  complete: boolean,
): { reason: string; proven: boolean } | undefined {
  // Inline batches travel side by side and each redirect waits for its own: a gap is a redirect that was never answered.
  if (producer.recorder === "inline") return undefined;
  const expected = Math.max(producer.lastSeq ?? 0, producer.maxSeq);
  const missing = expected - producer.batches;
  if (missing === 0) return undefined;
  const explained = new Set(
    moving.filter((batch) => batch.producer === producer.id && batch.seq <= expected).map(({ seq }) => seq),
  );
  const lost = missing - explained.size;
  if (lost <= 0) return undefined;
  const named = producer.missing.filter((seq) => !explained.has(seq));
  const more = lost > named.length ? ", …" : "";
  const numbers = named.length > 0 ? ` (numbers ${named.join(", ")}${more})` : "";
  const reason = `producer ${producer.id} lacks ${lost} of ${expected} batches${numbers}`;
  if (complete) return { reason, proven: true };
  return { reason: `${reason}, which may be on their way: not all that is was read`, proven: false };
}

function sumOf(
  moving: readonly TransitBatch[],
  state: TransitState,
): { readonly batches: number; readonly clicks: number } {
  const there = moving.filter((batch) => batch.state === state);
  return { batches: there.length, clicks: there.reduce((sum, { clicks }) => sum + clicks, 0) };
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
