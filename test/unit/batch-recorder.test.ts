// The default recorder: a click that was promised is a click that is stored, once.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Click } from "../../src/clicks/click.ts";
import type { ClickRecorder } from "../../src/clicks/recorder.ts";
import { errorOf } from "../helpers/error-of.ts";
import type { StoreMode } from "../helpers/faulty-click-store.ts";
import { RecorderStage } from "../helpers/recorder-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

let stage: RecorderStage;

beforeEach(() => {
  stage = new RecorderStage();
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
});

describe("the batch recorder", () => {
  test("answers a click only after the store confirmed it", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch();
    const appended = recorder.append(stage.click());
    await stage.attempted(1);
    expect(Bun.peek.status(appended)).toBe("pending");
    stage.store.release();
    await appended;
    expect(stage.storedLinks).toEqual([1]);
    expect(stage.stored).toBe(1);
    await recorder.close(1_000);
  });

  test("sends the clicks of one turn as one batch, and those that come meanwhile as the next", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch();
    const first = stage.clicks(3).map((click) => append(recorder, click));
    await stage.attempted(1);
    const second = stage.clicks(2).map((click) => append(recorder, click));
    expect(stage.store.inFlight).toBe(1);
    stage.store.release();
    await Promise.all([...first, ...second]);
    expect([stage.batchSizes, stage.seqs]).toEqual([
      [3, 2],
      [1, 2],
    ]);
    expect(stage.store.mostInFlight).toBe(1);
    expect(stage.storedLinks).toEqual([1, 2, 3, 4, 5]);
  });

  test("sends no batch larger than allowed", async () => {
    const recorder = stage.batch({ maxBatch: 4 });
    await Promise.all(stage.clicks(10).map((click) => append(recorder, click)));
    expect([stage.batchSizes, stage.seqs]).toEqual([
      [4, 4, 2],
      [1, 2, 3],
    ]);
  });

  test("answers from the spool when the store fails, and keeps the batch's number", async () => {
    stage.store.script.push("fail", "fail");
    const recorder = stage.batch();
    const first = append(recorder, stage.click());
    await stage.attempted(1);
    await Promise.all([first, append(recorder, stage.click())]);
    expect(stage.spooled).toBe(2);
    await stage.hasShipped(2);
    expect(stage.storedLinks).toEqual([1, 2]);
    expect(stage.store.missing).toEqual([]);
    await recorder.close(1_000);
  });

  test("counts a batch once when it was stored and the answer was lost", async () => {
    stage.store.script.push("lost answer");
    const recorder = stage.batch();
    await Promise.all(stage.clicks(3).map((click) => append(recorder, click)));
    await stage.hasShipped(3);
    expect(stage.seqs).toEqual([1, 1]);
    expect(stage.storedLinks).toEqual([1, 2, 3]);
    await recorder.close(1_000);
  });

  test("refuses clicks that exceed the queue, and stores those that wait", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({ maxQueued: 3 });
    const inFlight = append(recorder, stage.click());
    await stage.attempted(1);
    const waiting = stage.clicks(3).map((click) => append(recorder, click));
    expect(await errorOf(append(recorder, stage.click()))).toMatchObject({
      code: "TEMPORARILY_UNAVAILABLE",
    });
    stage.store.release();
    await Promise.all([inFlight, ...waiting]);
    expect(stage.storedLinks).toEqual([1, 2, 3, 4]);
    await recorder.append(stage.click());
    expect(stage.storedLinks).toEqual([1, 2, 3, 4, 6]);
  });

  test("answers everybody while the store hangs, and stores all of them when it is back", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({ maxBatch: 2 }, { waitMs: 20 });
    await Promise.all(stage.clicks(9).map((click) => append(recorder, click)));
    await recorder.append(stage.click());
    expect([stage.stored, stage.spooled]).toEqual([0, 10]);
    stage.store.release();
    await recorder.close(5_000);
    expect(stage.storedLinks).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([stage.store.missing, stage.store.goodbyes.length]).toEqual([[], 1]);
  });

  test("whatever fails, every click that was promised is stored exactly once, in numbers without a gap", () => {
    const mode = fc.constantFrom<StoreMode>("store", "store", "fail", "lost answer");
    return fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
        fc.array(mode, { maxLength: 5 }),
        fc.integer({ min: 1, max: 5 }),
        async (bursts, script, maxBatch) => {
          await using stage = new RecorderStage();
          stage.store.script.push(...script);
          const recorder = stage.batch({ maxBatch });
          const appends: Promise<void>[] = [];
          for (const burst of bursts) {
            appends.push(...stage.clicks(burst).map((click) => append(recorder, click)));
            await Promise.resolve();
          }
          await Promise.all(appends);
          await recorder.close(5_000);
          expect(stage.storedLinks).toEqual(appends.map((_, index) => index + 1));
          expect(stage.stored + stage.shipped).toBe(appends.length);
          expect(stage.store.missing).toEqual([]);
          expect(stage.store.goodbyes).toMatchObject([{ lastSeq: new Set(stage.seqs).size, dropped: {} }]);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("closing the batch recorder", () => {
  test("stores what waits and tells the ledger", async () => {
    const recorder = stage.batch({ maxBatch: 2 });
    const appends = stage.clicks(5).map((click) => append(recorder, click));
    await recorder.close(1_000);
    await Promise.all(appends);
    expect(stage.storedLinks).toEqual([1, 2, 3, 4, 5]);
    expect(stage.store.goodbyes).toMatchObject([{ lastSeq: 3 }]);
  });

  test("before the first click says nothing", async () => {
    await stage.batch().close(1_000);
    expect(stage.store.goodbyes).toEqual([]);
  });

  test.each(["fail", "hang"] as const)(
    "at the deadline leaves to the spool what the store would %s, and answers whoever waits",
    async (mode) => {
      stage.store.mode = mode;
      const recorder = stage.batch({ maxBatch: 1 });
      const appends = stage.clicks(3).map((click) => append(recorder, click));
      await stage.attempted(1);
      // The store may take an hour here: this test would not live to see that.
      const closing = recorder.close(10);
      await Promise.all(appends);
      await closing;
      expect([stage.spooled, stage.storedLinks]).toEqual([3, []]);
      stage.store.release();
      const next = stage.sender("batch");
      await next.shipper.adopt();
      await next.sender.close(5_000);
      expect(stage.storedLinks).toEqual([1, 2, 3]);
      expect(stage.store.missing).toEqual([]);
    },
  );

  test("leaves nothing to be stored afterwards", async () => {
    const recorder = stage.batch();
    await recorder.append(stage.click());
    await recorder.close(1_000);
    expect(await errorOf(append(recorder, stage.click()))).toMatchObject({
      code: "TEMPORARILY_UNAVAILABLE",
    });
    expect(stage.storedLinks).toEqual([1]);
  });
});

describe("the batch recorder that answers first", () => {
  test("answers at once although the store hangs, and stores later", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({}, { ack: "async" });
    for (const click of stage.clicks(3)) expect(recorder.append(click)).toBeUndefined();
    await stage.attempted(1);
    expect(stage.storedLinks).toEqual([]);
    stage.store.release();
    await recorder.close(1_000);
    expect(stage.storedLinks).toEqual([1, 2, 3]);
    expect(stage.store.goodbyes).toMatchObject([{ producer: { ack: "async" }, lastSeq: 1 }]);
  });

  test("counts every click that it drops, with the reason, and tells the ledger", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({ maxQueued: 4 }, { ack: "async" });
    await recorder.append(stage.click());
    await stage.attempted(1);
    for (const click of stage.clicks(10)) await recorder.append(click);
    expect(stage.dropped).toEqual({ queue_full: 6 });
    stage.store.release();
    await recorder.close(1_000);
    expect(stage.storedLinks).toHaveLength(5);
    expect(stage.store.goodbyes).toMatchObject([{ dropped: { queue_full: 6 } }]);
  });

  test("leaves to the spool what the store did not take before the deadline", async () => {
    stage.store.mode = "fail";
    const recorder = stage.batch({ maxBatch: 2 }, { ack: "async" });
    for (const click of stage.clicks(5)) await recorder.append(click);
    await recorder.close(10);
    expect([stage.spooled, stage.dropped]).toEqual([5, {}]);
  });

  test("counts what comes after its end as dropped", async () => {
    const recorder = stage.batch({}, { ack: "async" });
    await recorder.close(1_000);
    await recorder.append(stage.click());
    await waitFor("the drop", () => stage.dropped.shutdown === 1);
  });
});

/** As one who waits either way. */
async function append(recorder: ClickRecorder, click: Click): Promise<void> {
  await recorder.append(click);
}
