// Batches on their way from a producer to Postgres: where each of them is.

/** What names a batch for good. */
export interface BatchName {
  readonly producer: string;
  readonly seq: number;
}

/** In the spool of this machine, in the stream, or put aside because it could not be stored. */
export type TransitState = "spooled" | "waiting" | "dead";

/** A batch that is durable somewhere, and that Postgres does not have, or not for sure. */
export interface TransitBatch extends BatchName {
  readonly clicks: number;
  readonly state: TransitState;
}

/** What one worker has read from the stream and not confirmed. */
export interface PendingReader {
  readonly partition: number;
  readonly name: string;
  readonly batches: number;
  readonly idleMs: number;
}

/** Gathered before the facts of the store, so that a batch is not missed on its way from one to the other. */
export interface Transit {
  readonly batches: readonly TransitBatch[];
  /** False when there are more than were gathered. */
  readonly complete: boolean;
  readonly readers: readonly PendingReader[];
}

export const NOTHING_IN_TRANSIT: Transit = { batches: [], complete: true, readers: [] };

/** One after the other as they were gathered: in the direction in which batches move. */
export function joinTransits(parts: readonly Transit[]): Transit {
  return {
    batches: parts.flatMap(({ batches }) => batches),
    complete: parts.every(({ complete }) => complete),
    readers: parts.flatMap(({ readers }) => readers),
  };
}

/** A batch that may still be stored is not given up: in the stream beats put aside, and that beats the spool. */
const RANK: Record<TransitState, number> = { spooled: 0, dead: 1, waiting: 2 };

/** Each batch once, where it got furthest, without those that have landed. */
export function underWay(
  batches: readonly TransitBatch[],
  landed: readonly BatchName[],
): readonly TransitBatch[] {
  const once = new Map<string, TransitBatch>();
  for (const batch of batches) {
    const before = once.get(nameOf(batch));
    if (before === undefined || RANK[batch.state] > RANK[before.state]) once.set(nameOf(batch), batch);
  }
  for (const name of landed) once.delete(nameOf(name));
  return [...once.values()];
}

function nameOf({ producer, seq }: BatchName): string {
  return `${producer} ${seq}`;
}
