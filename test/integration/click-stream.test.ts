// The stream of clicks over a real Redis: what is appended is stored, once, and removed only then.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { GROUP, streamKey } from "../../src/storage/redis/stream-entries.ts";
import { streamFacts } from "../../src/storage/redis/stream-facts.ts";
import { LedgerStore } from "../helpers/ledger-store.ts";
import { TestRedis } from "../helpers/redis.ts";
import { BatchMaker, StreamStage } from "../helpers/stream-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

const KEY = streamKey(0);

describe("the stream of clicks", () => {
  let redis: TestRedis;
  let stage: StreamStage;
  let store: LedgerStore;
  let maker: BatchMaker;
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    await redis.client.flushall();
    stage = new StreamStage(redis.url);
    store = new LedgerStore();
    maker = new BatchMaker();
    await stage.ready();
  });
  afterEach(() => stage.clear());

  const pending = async () => Number(((await redis.client.xpending(KEY, GROUP)) as unknown[])[0]);

  test("every batch that is appended is stored, and then the stream is empty", async () => {
    const sender = await stage.append(maker.many(40, 3));
    expect(await stage.length()).toBe(40);
    stage.worker(store);
    await stage.drained();
    expect(maker.made.every((batch) => store.has(batch))).toBe(true);
    expect(store.clicks).toBe(120);
    expect(await pending()).toBe(0);
    await sender.storeBatches(maker.many(5));
    await stage.drained();
    expect(store.batches.size).toBe(45);
  });

  test("several batches in one call are all in the stream when it answers", async () => {
    const sender = await stage.connectedSender();
    expect(await sender.storeBatches(maker.many(10, 2))).toBe(20);
    expect(await stage.length()).toBe(10);
  });

  test("a batch is in the stream until the store has confirmed it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    store.beforeCommit = () => promise;
    await stage.append(maker.many(3));
    stage.worker(store);
    await waitFor("a transaction to begin", () => store.calls > 0);
    expect([await stage.length(), await pending(), store.batches.size]).toEqual([3, 3, 0]);
    resolve();
    await stage.drained();
    expect(store.batches.size).toBe(3);
  });

  test("entries that pile up while the store is busy are stored in few transactions", async () => {
    await stage.append(maker.many(300));
    stage.worker(store, { maxClicks: 450 });
    await stage.drained();
    // 150 batches of 3 clicks in each, but for what one read brings.
    expect(store.calls).toBeLessThanOrEqual(4);
    expect(store.batches.size).toBe(300);
  });

  test("a batch that is sent three times is stored once", async () => {
    const batches = maker.many(10);
    await stage.append([...batches, ...batches, ...batches]);
    stage.worker(store);
    await stage.drained();
    expect([store.batches.size, store.clicks]).toEqual([10, 30]);
  });

  test("what a producer says when it ends reaches the store after its batches", async () => {
    const sender = await stage.append(maker.many(4));
    await sender.closeProducer(maker.producer, 4, { queue_full: 7 });
    stage.worker(store);
    await stage.drained();
    expect(store.goodbyes).toEqual([{ producer: maker.producer, lastSeq: 4, dropped: { queue_full: 7 } }]);
    expect(store.batches.size).toBe(4);
  });

  test("while the store is away nothing leaves the stream, and then everything is stored", async () => {
    store.away = true;
    await stage.append(maker.many(5));
    stage.worker(store);
    await waitFor("several attempts", () => store.calls >= 3);
    expect([await stage.length(), store.batches.size, stage.buried.length]).toEqual([5, 0, 0]);
    store.away = false;
    await stage.drained();
    expect(store.batches.size).toBe(5);
  });

  test("a worker that comes back under its name begins with what it left", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    store.beforeCommit = () => promise;
    await stage.append(maker.many(3));
    const first = stage.worker(store, { name: "one" });
    await waitFor("a transaction to begin", () => store.calls > 0);
    first.crash();
    const second = new LedgerStore();
    stage.worker(second, { name: "one" });
    await stage.drained();
    expect(second.batches.size).toBe(3);
    resolve();
  });

  test("what a dead worker holds is taken over when it was idle for long enough, and it is forgotten", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    store.beforeCommit = () => promise;
    await stage.append(maker.many(20));
    const dead = stage.worker(store, { name: "dead" });
    await waitFor("a transaction to begin", () => store.calls > 0);
    dead.crash();
    expect(await pending()).toBe(20);
    const second = new LedgerStore();
    stage.worker(second, { name: "alive", claimIdleMs: 100 });
    await stage.drained();
    expect(second.batches.size).toBe(20);
    expect(stage.claimed.reduce((sum, entries) => sum + entries, 0)).toBe(20);
    await waitFor("the dead worker to be forgotten", async () => {
      const [facts] = await streamFacts(stage.client, 1);
      return facts?.consumers.map(({ name }) => name).join() === "alive";
    });
    resolve();
  });

  test("a worker that stops in good order confirms what it has and leaves the group", async () => {
    await stage.append(maker.many(10));
    const worker = stage.worker(store);
    await waitFor("the first transaction", () => store.calls > 0);
    await worker.stop();
    expect(store.batches.size + (await stage.length())).toBe(10);
    expect((await streamFacts(stage.client, 1))[0]?.consumers).toEqual([]);
  });

  test("workers share the work and each batch is stored by one of them", async () => {
    const stores = [store, new LedgerStore(), new LedgerStore()];
    for (const each of stores) {
      each.beforeCommit = async () => {
        await waitFor("all workers to have some", () => stores.every(({ calls }) => calls > 0));
      };
      stage.worker(each, { maxClicks: 1 });
    }
    await stage.append(maker.many(200));
    await stage.drained();
    expect(stores.reduce((sum, each) => sum + each.batches.size, 0)).toBe(200);
    expect(stores.every((each) => each.batches.size > 0)).toBe(true);
  });

  test("after FLUSHALL the group is made again and new batches are stored", async () => {
    const sender = await stage.append(maker.many(3));
    stage.worker(store);
    await stage.drained();
    await redis.client.flushall();
    await sender.storeBatches(maker.many(4));
    await waitFor("the new batches to be stored", () => store.batches.size === 7);
    await stage.drained();
  });

  test("entries that the group has lost are given out again", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    store.beforeCommit = () => promise;
    await stage.append(maker.many(5));
    stage.worker(store, { name: "deleted" });
    await waitFor("a transaction to begin", () => store.calls > 0);
    await redis.client.xgroup("DELCONSUMER", KEY, GROUP, "deleted");
    const second = new LedgerStore();
    stage.worker(second, { claimIdleMs: 100 });
    await waitFor("all to be stored", () => second.batches.size === 5);
    expect(stage.rescues).toBeGreaterThan(0);
    resolve();
    await stage.drained();
  });
});
