// What is read from the stream: batches and goodbyes as they were written, and anything else as unreadable, with the reason.
import { describe, expect, test } from "bun:test";
import { batchFields, contentOf, goodbyeFields, labelOf } from "../../src/storage/redis/stream-entries.ts";
import type { EntryFields } from "../../src/storage/redis/stream-entries.ts";
import { FIXED_BATCH } from "../helpers/batches.ts";

const GOODBYE = { producer: FIXED_BATCH.producer, lastSeq: 7, dropped: { queue_full: 3 } };

/** As Redis gives them back. */
const received = (fields: EntryFields) => fields.map((field) => Buffer.from(field));

describe("an entry of the stream", () => {
  test("with a batch comes back as it was, with its traces, and its label needs no decoding", () => {
    const batch = { ...FIXED_BATCH, traces: ["00-1", "00-2"] };
    const fields = received(batchFields(batch));
    expect(contentOf(fields)).toEqual({ kind: "batch", batch });
    const { producer, seq, clicks } = batch;
    expect(labelOf(fields)).toEqual({ producer: producer.id, seq, clicks: clicks.length });
  });

  test("with a goodbye comes back as it was", () => {
    const fields = received(goodbyeFields(GOODBYE));
    expect(contentOf(fields)).toEqual({ kind: "goodbye", goodbye: GOODBYE });
    expect(labelOf(fields)).toEqual({ producer: GOODBYE.producer.id, seq: 7, clicks: 0 });
  });

  test("with a goodbye that names a reason of a later version is read", () => {
    const goodbye = { ...GOODBYE, dropped: { no_such_reason_yet: 1 } };
    expect(contentOf(received(goodbyeFields(goodbye)))).toEqual({ kind: "goodbye", goodbye });
  });

  // What the ledger could not add up must not reach it.
  test.each([
    ["no object", 7],
    ["a producer that is no UUID", { ...GOODBYE, producer: { ...GOODBYE.producer, id: "p1" } }],
    ["an unknown recorder", { ...GOODBYE, producer: { ...GOODBYE.producer, recorder: "other" } }],
    ["an unknown acknowledgement", { ...GOODBYE, producer: { ...GOODBYE.producer, ack: "other" } }],
    ["a last number below zero", { ...GOODBYE, lastSeq: -1 }],
    ["a last number that is no integer", { ...GOODBYE, lastSeq: 0.5 }],
    ["clicks that are text", { ...GOODBYE, dropped: { queue_full: "3" } }],
    ["fewer clicks than none", { ...GOODBYE, dropped: { queue_full: -3 } }],
    ["parts of clicks", { ...GOODBYE, dropped: { queue_full: 1.5 } }],
    ["more clicks than can be counted", { ...GOODBYE, dropped: { queue_full: 1e300 } }],
    ["a list of clicks", { ...GOODBYE, dropped: [3] }],
    ["a reason that is no word", { ...GOODBYE, dropped: { "a\0b": 1 } }],
  ])("with a goodbye of %s is unreadable", (_, goodbye) => {
    expect(contentOf(received(["p", "", "s", "0", "c", "0", "g", JSON.stringify(goodbye)]))).toEqual({
      kind: "unreadable",
      reason: "the goodbye is not one of this version of hop",
    });
  });

  test.each([
    ["neither a batch nor a goodbye", ["x", "y"], "the entry has neither a batch nor a goodbye"],
    ["an empty batch", ["b", ""], /./],
    ["a goodbye that is no JSON", ["g", "{"], /./],
  ])("with %s is unreadable, and says why", (_, fields, reason) => {
    const content = contentOf(received(fields));
    expect(content).toMatchObject({ kind: "unreadable" });
    expect(content.kind === "unreadable" && content.reason).toMatch(reason);
    expect(labelOf(received(fields))).toEqual({ producer: "", seq: 0, clicks: 0 });
  });
});
