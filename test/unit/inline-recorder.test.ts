// The recorder of v0.1: one transaction a click.
import { beforeEach, describe, expect, test } from "bun:test";
import { errorOf } from "../helpers/error-of.ts";
import { RecorderStage } from "../helpers/recorder-stage.ts";

let stage = new RecorderStage();

beforeEach(() => {
  stage = new RecorderStage();
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

  test("repeats a failed click under its own number", async () => {
    stage.store.script.push("fail", "lost answer");
    const recorder = stage.inline();
    await recorder.append(stage.click());
    expect(stage.seqs).toEqual([1, 1, 1]);
    expect(stage.storedLinks).toEqual([1]);
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

  test("refuses a click that takes too long, and serves again when the store is back", async () => {
    stage.store.mode = "hang";
    const recorder = stage.inline({ timeoutMs: 10 });
    expect(await errorOf(recorder.append(stage.click()))).toMatchObject(UNAVAILABLE);
    stage.store.release();
    await recorder.append(stage.click());
    await recorder.close(1_000);
    expect(stage.storedLinks).toEqual([1, 2]);
    expect(await stage.ledger()).toMatchObject({ verdict: "balanced", producers: [{ ended: true }] });
  });

  test("closing waits for the clicks in flight and tells the ledger", async () => {
    const recorder = stage.inline();
    const appends = stage.clicks(3).map((click) => recorder.append(click));
    await recorder.close(1_000);
    expect(appends.map((append) => Bun.peek.status(append))).toEqual(["fulfilled", "fulfilled", "fulfilled"]);
    expect((await stage.ledger()).producers).toMatchObject([{ recorder: "inline", ended: true, lastSeq: 3 }]);
  });

  test.each(["fail", "hang"] as const)(
    "closing gives up at the deadline while the store is told to %s",
    async (mode) => {
      const recorder = stage.inline();
      await recorder.append(stage.click());
      stage.store.mode = mode;
      const append = recorder.append(stage.click());
      await stage.attempted(2);
      const closing = recorder.close(10);
      expect(await errorOf(append)).toMatchObject(UNAVAILABLE);
      stage.store.release();
      // It may have tried to say goodbye before the store was back.
      await closing.catch(() => undefined);
      expect(stage.stored).toBe(1);
    },
  );
});
