// Batches that could not be stored, which an operator may look at and send once more.
import { type RedisClient, repliesOf } from "./client.ts";
import { deadKey, type EntryLabel, fieldOf, labelOf, streamKey } from "./stream-entries.ts";
import { pagesOf, type RawEntry } from "./stream-facts.ts";

export interface DeadLetter extends EntryLabel {
  /** `PARTITION/ID`, with which it can be requeued. */
  readonly id: string;
  /** When it was put aside, in ms since the epoch by Redis's clock. */
  readonly atMs: number;
  readonly reason: string;
  readonly deliveries: number;
  readonly bytes: number;
}

/** All of them, oldest first within a partition. */
export async function listDeadLetters(client: RedisClient, partitions: number): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    for await (const page of pagesOf(client, deadKey(partition))) {
      letters.push(...page.map((entry) => describe(partition, entry)));
    }
  }
  return letters;
}

/** Names of fields that `bury` put before those of the entry. */
const FACTS = 3;

/**
 * Puts a dead letter back into the stream, as it was. False when there is no such letter.
 * @param id as `listDeadLetters` gives it
 */
export async function requeueDeadLetter(client: RedisClient, id: string): Promise<boolean> {
  const [partition = "", entryId = ""] = id.split("/");
  if (!/^\d{1,4}$/.test(partition) || !/^\d+-\d+$/.test(entryId)) return false;
  const key = deadKey(Number(partition));
  const [entry] = await client.xrangeBuffer(key, entryId, entryId);
  if (entry === undefined) return false;
  // One transaction: it is in one of the two or in the other. Twice in the stream would be harmless.
  const transaction = client
    .multi()
    .xadd(streamKey(Number(partition)), "*", ...entry[1].slice(FACTS * 2))
    .xdel(key, entryId);
  repliesOf(await transaction.exec());
  return true;
}

function describe(partition: number, [id, fields]: RawEntry): DeadLetter {
  const text = (name: string) => fieldOf(fields, name)?.toString("utf8") ?? "";
  return {
    id: `${partition}/${id}`,
    atMs: Number.parseInt(id, 10),
    reason: text("reason"),
    deliveries: Number(text("deliveries")),
    bytes: fieldOf(fields, "b")?.length ?? 0,
    ...labelOf(fields),
  };
}
