// The default recorder: a click that was promised is a click that is stored, once.
import { beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { errorOf } from "../helpers/error-of.ts";
import type { StoreMode } from "../helpers/faulty-click-store.ts";
import { RecorderStage } from "../helpers/recorder-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

let stage = new RecorderStage();

beforeEach(() => {
  stage = new RecorderStage();
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
    const first = stage.clicks(3).map((click) => recorder.append(click));
    await stage.attempted(1);
    const second = stage.clicks(2).map((click) => recorder.append(click));
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
    await Promise.all(stage.clicks(10).map((click) => recorder.append(click)));
    expect([stage.batchSizes, stage.seqs]).toEqual([
      [4, 4, 2],
      [1, 2, 3],
    ]);
  });

  test("repeats a failed batch under its own number, before any other", async () => {
    stage.store.script.push("fail", "fail");
    const recorder = stage.batch();
    const first = recorder.append(stage.click());
    await stage.attempted(1);
    await Promise.all([first, recorder.append(stage.click())]);
    expect(stage.seqs).toEqual([1, 1, 1, 2]);
    expect(stage.retries).toBe(2);
    expect(stage.storedLinks).toEqual([1, 2]);
  });

  test("counts a batch once when it was stored and the answer was lost", async () => {
    stage.store.script.push("lost answer");
    const recorder = stage.batch();
    await Promise.all(stage.clicks(3).map((click) => recorder.append(click)));
    expect(stage.seqs).toEqual([1, 1]);
    expect(stage.storedLinks).toEqual([1, 2, 3]);
    expect(stage.stored).toBe(3);
  });

  test("refuses clicks that exceed the queue, and stores those that wait", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({ maxQueued: 3 });
    const inFlight = recorder.append(stage.click());
    await stage.attempted(1);
    const waiting = stage.clicks(3).map((click) => recorder.append(click));
    expect(await errorOf(recorder.append(stage.click()))).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    stage.store.release();
    await Promise.all([inFlight, ...waiting]);
    expect(stage.storedLinks).toEqual([1, 2, 3, 4]);
    await recorder.append(stage.click());
    expect(stage.storedLinks).toEqual([1, 2, 3, 4, 6]);
  });

  test("refuses everybody once the store is away too long, and serves again when it is back", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({ timeoutMs: 20 });
    const inFlight = recorder.append(stage.click());
    await stage.attempted(1);
    const waiting = recorder.append(stage.click());
    for (const append of [inFlight, waiting]) {
      expect(await errorOf(append)).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    }
    const refused = recorder.append(stage.click());
    expect(Bun.peek.status(refused)).toBe("rejected");
    await errorOf(refused);
    stage.store.release();
    await recorder.close(1_000);
    // The one that was sent may be stored although its redirect was refused; the others surely are not.
    expect(stage.storedLinks).toEqual([1]);
    expect(await stage.ledger()).toMatchObject({ verdict: "balanced", producers: [{ ended: true }] });
  });

  test("numbers go on without a gap after an outage", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({ timeoutMs: 20 });
    const early = recorder.append(stage.click());
    await stage.attempted(1);
    const waiting = recorder.append(stage.click());
    await Promise.all([errorOf(early), errorOf(waiting)]);
    stage.store.release();
    await Promise.resolve();
    while (stage.stored === 0) await Promise.resolve();
    await Promise.resolve();
    await recorder.append(stage.click());
    expect(stage.seqs).toEqual([1, 2]);
    expect((await stage.ledger()).verdict).toBe("balanced");
  });

  test("whatever fails, every click that was promised is stored exactly once, in numbers without a gap", () => {
    const mode = fc.constantFrom<StoreMode>("store", "store", "fail", "lost answer");
    return fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
        fc.array(mode, { maxLength: 5 }),
        fc.integer({ min: 1, max: 5 }),
        async (bursts, script, maxBatch) => {
          stage = new RecorderStage();
          stage.store.script.push(...script);
          const recorder = stage.batch({ maxBatch });
          const appends: Promise<void>[] = [];
          for (const burst of bursts) {
            appends.push(...stage.clicks(burst).map((click) => recorder.append(click)));
            await Promise.resolve();
          }
          await Promise.all(appends);
          await recorder.close(5_000);
          expect(stage.storedLinks).toEqual(appends.map((_, index) => index + 1));
          expect(stage.store.mostInFlight).toBe(1);
          const { verdict, producers } = await stage.ledger();
          expect(verdict).toBe("balanced");
          expect(producers[0]).toMatchObject({ missing: [], lastSeq: new Set(stage.seqs).size });
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("closing the batch recorder", () => {
  test("stores what waits and tells the ledger", async () => {
    const recorder = stage.batch({ maxBatch: 2 });
    const appends = stage.clicks(5).map((click) => recorder.append(click));
    await recorder.close(1_000);
    await Promise.all(appends);
    expect(stage.storedLinks).toEqual([1, 2, 3, 4, 5]);
    expect(await stage.ledger()).toMatchObject({
      verdict: "balanced",
      producers: [{ ended: true, lastSeq: 3 }],
    });
  });

  test("before the first click says nothing", async () => {
    await stage.batch().close(1_000);
    expect((await stage.ledger()).producers).toEqual([]);
  });

  test("gives up at the deadline while the store fails, and refuses whoever waits", async () => {
    stage.store.mode = "fail";
    const recorder = stage.batch({ maxBatch: 1 });
    const appends = stage.clicks(3).map((click) => recorder.append(click));
    await stage.retried(1);
    const closing = recorder.close(10);
    for (const append of appends) {
      expect(await errorOf(append)).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    }
    await closing.catch(() => undefined);
    expect(stage.storedLinks).toEqual([]);
  });

  test("gives up at the deadline while the store hangs", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch();
    const append = recorder.append(stage.click());
    await stage.attempted(1);
    const closing = recorder.close(10);
    // One attempt may take an hour here: this test would not live to see that.
    expect(await errorOf(append)).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    stage.store.release();
    await closing;
  });

  test("leaves nothing to be stored afterwards", async () => {
    const recorder = stage.batch();
    await recorder.append(stage.click());
    await recorder.close(1_000);
    expect(await errorOf(recorder.append(stage.click()))).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    expect(stage.storedLinks).toEqual([1]);
  });
});

describe("the batch recorder that answers first", () => {
  test("answers at once although the store hangs, and stores later", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({}, "async");
    for (const click of stage.clicks(3)) expect(Bun.peek.status(recorder.append(click))).toBe("fulfilled");
    await stage.attempted(1);
    expect(stage.storedLinks).toEqual([]);
    stage.store.release();
    await waitFor("the clicks", () => stage.storedLinks.length === 3);
    expect((await stage.ledger()).verdict).toBe("undecided");
    await recorder.close(1_000);
    expect(stage.storedLinks).toEqual([1, 2, 3]);
    expect((await stage.ledger()).verdict).toBe("balanced");
  });

  test("counts every click that it drops, with the reason, and tells the ledger", async () => {
    stage.store.mode = "hang";
    const recorder = stage.batch({ maxQueued: 4 }, "async");
    await recorder.append(stage.click());
    await stage.attempted(1);
    for (const click of stage.clicks(10)) await recorder.append(click);
    expect(stage.dropped).toEqual({ queue_full: 6 });
    stage.store.release();
    await recorder.close(1_000);
    expect(stage.storedLinks).toHaveLength(5);
    expect(await stage.ledger()).toMatchObject({ verdict: "balanced", dropped: { queue_full: 6 } });
  });

  test("counts what it could not store before the deadline as dropped by the shutdown", async () => {
    stage.store.mode = "fail";
    const recorder = stage.batch({ maxBatch: 2 }, "async");
    for (const click of stage.clicks(5)) await recorder.append(click);
    await recorder.close(10).catch(() => undefined);
    expect(stage.dropped).toEqual({ shutdown: 5 });
    expect(stage.stored).toBe(0);
  });

  test("does not refuse while the store is away", async () => {
    stage.store.mode = "fail";
    const recorder = stage.batch({ timeoutMs: 1 }, "async");
    await recorder.append(stage.click());
    await stage.retried(2);
    await recorder.append(stage.click());
    stage.store.mode = "store";
    await recorder.close(1_000);
    expect(stage.storedLinks).toEqual([1, 2]);
    expect(stage.dropped).toEqual({});
  });
});
