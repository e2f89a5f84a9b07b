// The recorder of v0.1: one transaction a click.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { errorOf } from "../helpers/error-of.ts";
import { RecorderStage } from "../helpers/recorder-stage.ts";

let stage: RecorderStage;

beforeEach(() => {
  stage = new RecorderStage();
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
});

const UNAVAILABLE = { code: "TEMPORARILY_UNAVAILABLE" };

describe("the inline recorder", () => {
  test("sends every click by itself, side by side, and answers once it is stored", async () => {
    stage.store.mode = "hang";
    const recorder = stage.inline();
    const appends = stage.clicks(3).map((click) => recorder.append(click));
    await stage.attempted(3);
    expect(stage.store.mostInFlight).toBe(3);
    expect(appends.map((append) => Bun.peek.status(append))).toEqual(["pending", "pending", "pending"]);
    stage.store.release();
    await Promise.all(appends);
    expect([stage.batchSizes, stage.seqs]).toEqual([
      [1, 1, 1],
      [1, 2, 3],
    ]);
    expect(stage.storedLinks).toEqual([1, 2, 3]);
  });

  test("answers from the spool when the store fails, and stores the click once, under its own number", async () => {
    stage.store.script.push("fail", "lost answer");
    const recorder = stage.inline();
    await recorder.append(stage.click());
    expect(stage.spooled).toBe(1);
    await stage.hasShipped(1);
    expect(stage.seqs).toEqual([1, 1, 1]);
    expect(stage.storedLinks).toEqual([1]);
    await recorder.close(1_000);
  });

  test("refuses more clicks at once than allowed", async () => {
    stage.store.mode = "hang";
    const recorder = stage.inline({ maxQueued: 2 });
    const appends = stage.clicks(2).map((click) => recorder.append(click));
    expect(await errorOf(recorder.append(stage.click()))).toMatchObject(UNAVAILABLE);
    stage.store.release();
    await Promise.all(appends);
    await recorder.append(stage.click());
    expect(stage.storedLinks).toEqual([1, 2, 4]);
  });

  test("spools side by side while the store hangs, every click under a number of its own", async () => {
    stage.store.mode = "hang";
    const recorder = stage.inline({}, { waitMs: 20 });
    await Promise.all(stage.clicks(20).map((click) => recorder.append(click)));
    await Promise.all(stage.clicks(20).map((click) => recorder.append(click)));
    expect([stage.stored, stage.spooled]).toEqual([0, 40]);
    stage.store.release();
    await recorder.close(5_000);
    expect(stage.storedLinks).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect(stage.store.missing).toEqual([]);
    expect(stage.store.goodbyes).toMatchObject([{ lastSeq: 40 }]);
  });

  test("with a spool that is full answers all the same, and leaves no number missing", async () => {
    stage.store.mode = "fail";
    const recorder = stage.inline({}, { spoolBytes: 1_500 });
    await Promise.all(stage.clicks(20).map((click) => recorder.append(click)));
    await Promise.all(stage.clicks(20).map((click) => recorder.append(click)));
    const dropped = stage.dropped.spool_full ?? 0;
    expect(dropped).toBeGreaterThan(0);
    stage.store.mode = "store";
    await recorder.close(5_000);
    expect(stage.storedLinks).toHaveLength(40 - dropped);
    expect(stage.store.missing).toEqual([]);
    expect(stage.store.goodbyes).toMatchObject([{ dropped: { spool_full: dropped } }]);
  });

  test("closing waits for the clicks in flight and tells the ledger", async () => {
    const recorder = stage.inline();
    const appends = stage.clicks(3).map((click) => recorder.append(click));
    await recorder.close(1_000);
    expect(appends.map((append) => Bun.peek.status(append))).toEqual(["fulfilled", "fulfilled", "fulfilled"]);
    expect(stage.store.goodbyes).toMatchObject([{ producer: { recorder: "inline" }, lastSeq: 3 }]);
    expect(await errorOf(recorder.append(stage.click()))).toMatchObject(UNAVAILABLE);
  });

  test.each(["fail", "hang"] as const)(
    "closing leaves to the spool what the store would %s until the deadline",
    async (mode) => {
      const recorder = stage.inline();
      await recorder.append(stage.click());
      stage.store.mode = mode;
      const append = recorder.append(stage.click());
      await stage.attempted(2);
      await recorder.close(10);
      await append;
      expect([stage.stored, stage.spooled]).toEqual([1, 1]);
    },
  );
});
