// The writing half of the ledger: numbers without gaps, sent until they are confirmed.
import { beforeEach, describe, expect, test } from "bun:test";
import { RecorderStage } from "../helpers/recorder-stage.ts";

let stage = new RecorderStage();

beforeEach(() => {
  stage = new RecorderStage();
});

describe("a batch sender", () => {
  test("numbers its batches 1, 2, 3 under a random id of its own", async () => {
    const [one, other] = [stage.sender("batch"), stage.sender("batch")];
    for (let batch = 0; batch < 3; batch++) expect(await one.send(stage.clicks(2))).toBe(true);
    expect(await other.send(stage.clicks(1))).toBe(true);
    expect(stage.seqs).toEqual([1, 2, 3, 1]);
    expect(new Set(stage.store.attempts.map((batch) => batch.producer.id)).size).toBe(2);
    for (const { producer } of stage.store.attempts)
      expect(producer.id).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-/);
  });

  test("makes itself known to the ledger with its first batch, also after that failed at first", async () => {
    stage.store.mode = "fail";
    const sender = stage.sender("batch", "async");
    const sent = sender.send(stage.clicks(1));
    await stage.retried(1);
    stage.store.mode = "store";
    expect(await sent).toBe(true);
    expect((await stage.ledger()).producers).toMatchObject([
      { recorder: "batch", ack: "async", ended: false },
    ]);
  });

  test("repeats an attempt that takes too long, which counts once even if both arrive", async () => {
    stage.store.script.push("hang");
    const sender = stage.sender("batch", "durable", 10);
    expect(await sender.send(stage.clicks(2))).toBe(true);
    expect(stage.seqs).toEqual([1, 1]);
    stage.store.release();
    expect(stage.storedLinks).toEqual([1, 2]);
    expect(stage.stored).toBe(2);
  });

  test.each(["fail", "hang"] as const)(
    "answers false when it is stopped while the store would %s",
    async (mode) => {
      const sender = stage.sender("batch");
      expect(await sender.send(stage.clicks(1))).toBe(true);
      stage.store.mode = mode;
      const sent = sender.send(stage.clicks(1));
      await stage.attempted(2);
      sender.stop();
      expect(await sent).toBe(false);
      expect(await sender.send(stage.clicks(1))).toBe(false);
      stage.store.release();
      expect(stage.stored).toBe(1);
    },
  );

  test("says goodbye with the last confirmed number and what it dropped", async () => {
    const sender = stage.sender("batch", "async");
    await sender.send(stage.clicks(1));
    await sender.send(stage.clicks(1));
    sender.drop(3, "queue_full");
    sender.drop(4, "queue_full");
    sender.drop(5, "shutdown");
    await sender.close();
    expect(stage.dropped).toEqual({ queue_full: 7, shutdown: 5 });
    expect((await stage.ledger()).producers).toMatchObject([
      { ended: true, lastSeq: 2, dropped: { queue_full: 7, shutdown: 5 } },
    ]);
  });

  test("that never sent anything has nothing to say", async () => {
    await stage.sender("batch").close();
    expect((await stage.ledger()).producers).toEqual([]);
  });

  test("that cannot say goodbye in time reports it and ends all the same", async () => {
    const sender = stage.sender("batch", "durable", 20);
    await sender.send(stage.clicks(1));
    stage.store.mode = "hang";
    await sender.close();
    expect(stage.lostGoodbyes).toEqual([expect.stringContaining("closing the click ledger took longer")]);
    stage.store.release();
  });
});
