// The writing half of the ledger: numbers without gaps, each durable in the store or in the spool.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { upTo } from "../helpers/spool-records.ts";
import { RecorderStage } from "../helpers/recorder-stage.ts";

let stage: RecorderStage;

beforeEach(() => {
  stage = new RecorderStage();
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
});

const failures = ["fail", "hang", "lost answer"] as const;

describe("a batch sender", () => {
  test("numbers its batches 1, 2, 3 under a random id of its own and spools nothing", async () => {
    const [one, other] = [stage.sender("batch"), stage.sender("batch")];
    for (let batch = 0; batch < 3; batch++) expect(await one.sender.send(stage.clicks(2))).toBe(true);
    expect(await other.sender.send(stage.clicks(1))).toBe(true);
    expect(stage.seqs).toEqual([1, 2, 3, 1]);
    expect(new Set(stage.store.attempts.map((batch) => batch.producer.id)).size).toBe(2);
    for (const { producer } of stage.store.attempts)
      expect(producer.id).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-/);
    expect([stage.stored, stage.spooled]).toEqual([7, 0]);
    expect(() => stage.disk.files()).toThrow("ENOENT");
  });

  test.each(failures)(
    "answers from the spool when the store would %s, and stores the batch later",
    async (mode) => {
      stage.store.mode = mode;
      const { sender } = stage.sender("batch", { waitMs: 20 });
      expect(await sender.send(stage.clicks(2))).toBe(true);
      expect([stage.stored, stage.spooled]).toEqual([0, 2]);
      expect(stage.disk.segmentBytes).toBeGreaterThan(8);
      stage.store.release();
      await stage.hasShipped(2);
      expect(stage.storedLinks).toEqual([1, 2]);
      expect(new Set(stage.seqs)).toEqual(new Set([1]));
    },
  );

  test("while the store is away spools at once, without asking it for every batch", async () => {
    stage.store.mode = "hang";
    const { sender } = stage.sender("batch", { waitMs: 20 });
    for (const _ of upTo(50)) expect(await sender.send(stage.clicks(2))).toBe(true);
    expect(stage.spooled).toBe(100);
    // The first batch, and then the shipper alone.
    expect(stage.store.mostInFlight).toBeLessThanOrEqual(2);
    stage.store.release();
    await stage.hasShipped(100);
    expect(stage.storedLinks).toEqual(upTo(100));
    expect(stage.store.missing).toEqual([]);
  });

  test("ships oldest first, many batches with a call, none with too many clicks", async () => {
    stage.store.mode = "fail";
    const { sender } = stage.sender("batch", { maxClicks: 10 });
    for (const _ of upTo(9)) await sender.send(stage.clicks(4));
    stage.store.attempts.length = 0;
    stage.store.calls.length = 0;
    stage.store.mode = "store";
    await stage.hasShipped(36);
    const shipped = stage.seqs.slice(-9);
    expect(shipped).toEqual(upTo(9));
    expect(stage.store.calls.slice(-5)).toEqual([2, 2, 2, 2, 1]);
  });

  test("sends directly again when the store is back", async () => {
    stage.store.script.push("fail");
    const { sender } = stage.sender("batch");
    await sender.send(stage.clicks(1));
    await stage.hasShipped(1);
    await sender.send(stage.clicks(1));
    expect([stage.stored, stage.spooled, stage.shipped]).toEqual([1, 1, 1]);
    await sender.close(1_000);
    expect(stage.store.goodbyes).toMatchObject([{ lastSeq: 2 }]);
  });

  test("sends directly again under steady load, and in order", async () => {
    stage.store.script.push("fail");
    const { sender } = stage.sender("batch");
    // The next batch is there as soon as one was answered: the spool is never left alone.
    let sent = 0;
    while (stage.stored < 20 && sent < 10_000) {
      await sender.send(stage.clicks(1));
      sent++;
    }
    expect(stage.stored).toBe(20);
    const stored = stage.store.stored.map((click) => click.linkId);
    expect(stored).toEqual(upTo(sent));
    await sender.close(1_000);
  });

  test("a batch that the store takes after all, late, counts once", async () => {
    stage.store.script.push("hang");
    const { sender } = stage.sender("batch", { waitMs: 10 });
    await sender.send(stage.clicks(3));
    await stage.hasShipped(3);
    stage.store.release();
    await sender.send(stage.clicks(1));
    expect(stage.storedLinks).toEqual([1, 2, 3, 4]);
    expect(stage.store.missing).toEqual([]);
  });

  test("says goodbye with the last number and what it dropped", async () => {
    const { sender } = stage.sender("batch", { ack: "async" });
    await sender.send(stage.clicks(1));
    await sender.send(stage.clicks(1));
    sender.drop(3, "queue_full");
    sender.drop(4, "queue_full");
    sender.drop(5, "spool_full");
    await sender.close(1_000);
    expect(stage.dropped).toEqual({ queue_full: 7, spool_full: 5 });
    expect(stage.store.goodbyes).toMatchObject([
      {
        producer: { recorder: "batch", ack: "async" },
        lastSeq: 2,
        dropped: { queue_full: 7, spool_full: 5 },
      },
    ]);
    expect(await sender.send(stage.clicks(1))).toBe(false);
  });

  test("that never sent anything has nothing to say", async () => {
    await stage.sender("batch").sender.close(1_000);
    expect(stage.store.goodbyes).toEqual([]);
  });

  test("that cannot say goodbye in time reports it and ends all the same", async () => {
    const { sender } = stage.sender("batch", { closeTimeoutMs: 20 });
    await sender.send(stage.clicks(1));
    stage.store.mode = "hang";
    await sender.close(1_000);
    expect(stage.lostGoodbyes).toEqual([expect.stringContaining("closing the click ledger took longer")]);
  });
});

describe("closing a batch sender", () => {
  test("ships what waits before it says goodbye", async () => {
    stage.store.mode = "fail";
    const { sender } = stage.sender("batch");
    for (const _ of upTo(5)) await sender.send(stage.clicks(2));
    stage.store.mode = "store";
    await sender.close(5_000);
    expect(stage.storedLinks).toEqual(upTo(10));
    expect(stage.store.goodbyes).toMatchObject([{ lastSeq: 5 }]);
  });

  test.each(["fail", "hang"] as const)(
    "leaves the rest to the next process while the store would %s",
    async (mode) => {
      stage.store.mode = mode;
      const { sender } = stage.sender("batch", { waitMs: 10 });
      for (const _ of upTo(5)) await sender.send(stage.clicks(2));
      await sender.close(30);
      expect(stage.lostGoodbyes).toEqual([expect.stringContaining("wait in the spool for the next process")]);
      expect(stage.dropped).toEqual({});
      stage.store.release();
      const next = stage.sender("batch");
      await next.shipper.adopt();
      await stage.hasShipped(10);
      expect(stage.storedLinks).toEqual(upTo(10));
      expect(stage.store.missing).toEqual([]);
      await next.sender.close(1_000);
    },
  );

  test("cuts a wait for the store short, and spools", async () => {
    stage.store.mode = "hang";
    const { sender } = stage.sender("batch");
    const sent = sender.send(stage.clicks(1));
    await stage.attempted(1);
    sender.stop();
    expect(await sent).toBe(true);
    expect(stage.spooled).toBe(1);
  });
});

describe("a spool that takes no more", () => {
  test("answers redirects, counts their clicks as dropped, and leaves no number missing", async () => {
    stage.store.mode = "fail";
    const { sender } = stage.sender("batch", { spoolBytes: 4_000 });
    for (const _ of upTo(100)) expect(await sender.send(stage.clicks(2))).toBe(true);
    expect(stage.spooled).toBeGreaterThan(10);
    expect(stage.dropped).toEqual({ spool_full: 200 - stage.spooled });
    stage.store.mode = "store";
    await stage.hasShipped(stage.spooled);
    await sender.send(stage.clicks(1));
    await sender.close(1_000);
    expect(stage.stored).toBe(1);
    expect(stage.store.missing).toEqual([]);
    expect(stage.store.goodbyes).toMatchObject([{ dropped: stage.dropped }]);
    expect(stage.store.stored).toHaveLength(stage.spooled + 1);
  });

  test("from the first batch on holds that in memory, because it has its number, and drops the next", async () => {
    stage.store.mode = "fail";
    const { sender } = stage.sender("batch", { spoolBytes: 100 });
    expect(await sender.send(stage.clicks(2))).toBe(true);
    expect(await sender.send(stage.clicks(3))).toBe(true);
    expect(stage.dropped).toEqual({ spool_full: 3 });
    stage.store.mode = "store";
    await stage.hasShipped(2);
    await sender.close(1_000);
    expect(stage.store.goodbyes).toMatchObject([{ lastSeq: 1, dropped: { spool_full: 3 } }]);
  });

  test("because the disk is broken holds a bounded number of clicks and drops the rest", async () => {
    stage.store.mode = "fail";
    writeFileSync(stage.disk.directory, "in the way");
    const { sender } = stage.sender("batch", { maxHeld: 10 });
    for (const _ of upTo(10)) expect(await sender.send(stage.clicks(2))).toBe(true);
    expect(stage.dropped).toEqual({ spool_failed: 10 });
    rmSync(stage.disk.directory);
    stage.store.mode = "store";
    await stage.hasShipped(10);
    await sender.send(stage.clicks(1));
    await sender.close(1_000);
    expect(stage.storedLinks).toEqual([...upTo(10), 21]);
    expect(stage.store.missing).toEqual([]);
  });

  test("and then works again gets what was held in memory", async () => {
    stage.store.mode = "fail";
    writeFileSync(stage.disk.directory, "in the way");
    const { sender } = stage.sender("batch");
    await sender.send(stage.clicks(2));
    rmSync(stage.disk.directory);
    await stage.retried(stage.retries + 2);
    expect(stage.disk.segmentBytes).toBeGreaterThan(8);
    await sender.close(10);
    expect(stage.dropped).toEqual({});
  });

  test("until the end counts what was held in memory as dropped", async () => {
    stage.store.mode = "fail";
    const { sender } = stage.sender("batch", { spoolBytes: 100 });
    await sender.send(stage.clicks(2));
    expect(stage.dropped).toEqual({});
    await sender.close(10);
    expect(stage.dropped).toEqual({ spool_full: 2 });
  });
});

describe("a record that cannot be stored", () => {
  test("because nobody can read it is set aside, and the others are shipped", async () => {
    const { spool } = stage.sender("batch");
    await spool.append(Uint8Array.of(99));
    await spool.append(Uint8Array.of(1, 2, 3));
    await spool.close();
    const { sender, shipper } = stage.sender("batch");
    await shipper.adopt();
    await sender.send(stage.clicks(2));
    await sender.close(1_000);
    expect(stage.setAside).toEqual(["undecodable", "undecodable"]);
    expect(stage.disk.files(".bad")).toHaveLength(2);
    expect(stage.storedLinks).toEqual([1, 2]);
  });

  test("because the store refuses it, and takes others, is set aside in the end", async () => {
    stage.store.mode = "fail";
    stage.store.refuses = (batch) => batch.seq === 3;
    const { sender } = stage.sender("batch");
    for (const _ of upTo(6)) await sender.send(stage.clicks(1));
    stage.store.mode = "store";
    await stage.hasShipped(5);
    expect(stage.setAside).toEqual(["refused"]);
    expect(stage.storedLinks).toEqual([1, 2, 4, 5, 6]);
    expect(stage.store.missing).toEqual([expect.stringMatching(/ 3$/)]);
    expect(stage.disk.files(".bad")).toHaveLength(1);
    await sender.close(1_000);
  });

  test("is never set aside because the store is away", async () => {
    stage.store.mode = "fail";
    const { sender } = stage.sender("batch");
    for (const _ of upTo(3)) await sender.send(stage.clicks(1));
    await stage.retried(8);
    expect(stage.setAside).toEqual([]);
    await sender.close(10);
  });
});
