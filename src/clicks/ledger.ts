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

/** A batch that a producer's store has confirmed and that Postgres does not have, or not for sure. */
export interface TransitBatch {
  readonly producer: string;
  readonly seq: number;
  readonly clicks: number;
  /** In the stream, or put aside because it could not be stored. */
  readonly state: "waiting" | "dead";
}

/** Gathered before the facts of the store, so that a batch is not missed on its way from one to the other. */
export interface Transit {
  readonly batches: readonly TransitBatch[];
  /** False when there are more than were gathered. */
  readonly complete: boolean;
}

const NOTHING_IN_TRANSIT: Transit = { batches: [], complete: true };

export interface LedgerReport extends LedgerFacts {
  /** Clicks in the stream. */
  readonly waitingClicks: number;
  /** Clicks that were put aside. */
  readonly deadClicks: number;
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
export function judgeLedger(facts: LedgerFacts, transit: Transit = NOTHING_IN_TRANSIT): LedgerReport {
  const gaps = facts.producers.flatMap((producer) => findGap(producer, transit) ?? []);
  const losses = [
    ...gaps.filter(({ proven }) => proven).map(({ reason }) => reason),
    ...disagreements(facts),
  ];
  const waitingClicks = clicksIn(transit, "waiting");
  const deadClicks = clicksIn(transit, "dead");
  const doubts = [
    ...gaps.filter(({ proven }) => !proven).map(({ reason }) => reason),
    ...facts.producers
      .filter((producer) => producer.ack === "async" && !producer.ended)
      .map(
        (producer) =>
          `producer ${producer.id} answers before it stores (HOP_CLICKS_ACK=async) and has not ended: clicks may be in its memory, or lost with it`,
      ),
    ...(deadClicks > 0
      ? [`${deadClicks} clicks could not be stored and were put aside; see hop dead list`]
      : []),
  ];
  return {
    ...facts,
    waitingClicks,
    deadClicks,
    verdict: losses.length > 0 ? "unbalanced" : doubts.length > 0 ? "undecided" : "balanced",
    reasons: [...losses, ...doubts],
    dropped: addUp(facts.producers.map((producer) => producer.dropped)),
  };
}

/** Numbers that are neither stored nor in the stream: a loss, or a doubt when not all could be looked at. */
function findGap(producer: ProducerFacts, transit: Transit): { reason: string; proven: boolean } | undefined {
  // Inline batches travel side by side and each redirect waits for its own: a gap is a redirect that was never answered.
  if (producer.recorder === "inline") return undefined;
  const expected = Math.max(producer.lastSeq ?? 0, producer.maxSeq);
  const missing = expected - producer.batches;
  if (missing === 0) return undefined;
  const moving = new Set(
    transit.batches
      .filter((batch) => batch.producer === producer.id && batch.seq <= expected)
      .map(({ seq }) => seq),
  );
  const named = producer.missing.filter((seq) => !moving.has(seq));
  // More are missing than are named: those in the stream explain so many of them, if none of those is stored as well.
  const lost = Math.max(named.length, missing - moving.size);
  if (lost > 0) {
    const more = lost > named.length ? ", …" : "";
    const numbers = named.length > 0 ? ` (numbers ${named.join(", ")}${more})` : "";
    const reason = `producer ${producer.id} lacks ${lost} of ${expected} batches${numbers}`;
    if (transit.complete) return { reason, proven: true };
    return { reason: `${reason}, which may be in the stream: not all of it was read`, proven: false };
  }
  if (missing === producer.missing.length) return undefined;
  const reason = `${missing} batches of producer ${producer.id} are on their way; ask again when the stream is empty`;
  return { reason, proven: false };
}

function clicksIn({ batches }: Transit, state: TransitBatch["state"]): number {
  const once = new Map(
    batches
      .filter((batch) => batch.state === state)
      .map(({ producer, seq, clicks }) => [`${producer} ${seq}`, clicks]),
  );
  return [...once.values()].reduce((sum, clicks) => sum + clicks, 0);
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
