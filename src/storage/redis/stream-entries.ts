// What the stream of clicks looks like in Redis: its keys, and the fields of an entry.
import { z } from "zod";
import { decodeBatch, type KnownParts } from "../../clicks/batch-decoder.ts";
import { encodeBatch } from "../../clicks/batch-encoder.ts";
import { ACKS, RECORDERS } from "../../clicks/batch-format.ts";
import type { ClickBatch } from "../../clicks/click.ts";
import type { Goodbye, QueueContent } from "../../clicks/ingest.ts";
import { errorMessage } from "../../lib/errors.ts";

/** All workers read through this consumer group. */
export const GROUP = "hop";

/** The tag in braces keeps a partition and its dead letters on one node of a cluster. */
export function streamKey(partition: number): string {
  return `hop:clicks:{${partition}}`;
}

/** Holds a random text for as long as the partition's data has not been thrown away. */
export function eraKey(partition: number): string {
  return `hop:clicks:era:{${partition}}`;
}

export function deadKey(partition: number): string {
  return `hop:clicks:dead:{${partition}}`;
}

/** Where a batch goes: neighbours go to different partitions, and a batch always to the same. */
export function partitionOf(seq: number, partitions: number): number {
  return seq % partitions;
}

/**
 * `p` producer, `s` number, `c` clicks, so that the ledger can account for an entry without decoding it; `b` the batch;
 * `t`, where clicks of it are traced, their traceparents with spaces between them.
 * Redis keeps the names of the fields once for many entries.
 */
export type EntryFields = readonly (string | Buffer)[];

export function batchFields(batch: ClickBatch): EntryFields {
  const { producer, seq, clicks, traces } = batch;
  const fields = ["p", producer.id, "s", String(seq), "c", String(clicks.length), "b", encodeBatch(batch)];
  return traces === undefined ? fields : [...fields, "t", traces.join(" ")];
}

/** `g` in the place of `b`: what a producer says when it ends. */
export function goodbyeFields(goodbye: Goodbye): EntryFields {
  return ["p", goodbye.producer.id, "s", String(goodbye.lastSeq), "c", "0", "g", JSON.stringify(goodbye)];
}

/** Bytes that the fields take on the wire and, roughly, in Redis. */
export function sizeOf(fields: EntryFields): number {
  return fields.reduce((sum, field) => sum + field.length, 0);
}

/** What one entry says besides its payload. */
export interface EntryLabel {
  readonly producer: string;
  readonly seq: number;
  readonly clicks: number;
}

/** Of an entry that hop did not write: an empty producer and zeros. */
export function labelOf(fields: readonly Buffer[]): EntryLabel {
  const number = (name: string) => Number(fieldOf(fields, name)?.toString("latin1") ?? 0) || 0;
  return { producer: fieldOf(fields, "p")?.toString("utf8") ?? "", seq: number("s"), clicks: number("c") };
}

/** Never throws: what cannot be read says so. `known` is of the entries before it. */
export function contentOf(fields: readonly Buffer[], known?: KnownParts): QueueContent {
  const payload = fieldOf(fields, "b");
  const goodbye = fieldOf(fields, "g");
  try {
    if (payload !== undefined)
      return { kind: "batch", batch: withTraces(decodeBatch(payload, known), fields) };
    if (goodbye !== undefined) return { kind: "goodbye", goodbye: parseGoodbye(goodbye.toString("utf8")) };
    return { kind: "unreadable", reason: "the entry has neither a batch nor a goodbye" };
  } catch (error) {
    // Whatever a decoder throws at bytes that hop did not write, or a later version did.
    return { kind: "unreadable", reason: errorMessage(error) };
  }
}

function withTraces(batch: ClickBatch, fields: readonly Buffer[]): ClickBatch {
  const traces = fieldOf(fields, "t");
  return traces === undefined ? batch : { ...batch, traces: traces.toString("latin1").split(" ") };
}

export function fieldOf(fields: readonly Buffer[], name: string): Buffer | undefined {
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const field = fields[index];
    // No text is made of a name that cannot be the one.
    if (field?.length === name.length && field.toString("latin1") === name) return fields[index + 1];
  }
  return undefined;
}

const countSchema = z.number().int().nonnegative();
const goodbyeSchema = z.object({
  producer: z.object({ id: z.guid(), recorder: z.enum(RECORDERS), ack: z.enum(ACKS) }),
  lastSeq: countSchema,
  // Of any reason: a later version may know more of them.
  dropped: z.record(z.string().regex(/^\w{1,32}$/), countSchema),
});

function parseGoodbye(text: string): Goodbye {
  const { success, data } = goodbyeSchema.safeParse(JSON.parse(text));
  if (!success) throw new Error("the goodbye is not one of this version of hop");
  return data;
}
