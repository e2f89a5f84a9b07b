// What an operator sees of the stream of clicks: dead letters, its bound, its length, age and size.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { AppError } from "../../src/lib/errors.ts";
import { listDeadLetters, requeueDeadLetter } from "../../src/storage/redis/dead-letters.ts";
import { deadKey, GROUP, streamKey } from "../../src/storage/redis/stream-entries.ts";
import { streamFacts, batchesInTransit } from "../../src/storage/redis/stream-facts.ts";
import { runHop } from "../helpers/hop-process.ts";
import { LedgerStore } from "../helpers/ledger-store.ts";
import { TestRedis } from "../helpers/redis.ts";
import { BatchMaker, StreamStage } from "../helpers/stream-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

const KEY = streamKey(0);

describe("the care of the stream", () => {
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

  test("a batch that the store refuses is put aside after its last delivery, and all others are stored", async () => {
    store.poisoned.add(7);
    await stage.append(maker.many(20));
    stage.worker(store, { claimIdleMs: 50, maxDeliveries: 3 });
    await waitFor("the dead letter", () => stage.buried.length > 0);
    await stage.drained();
    expect(store.batches.size).toBe(19);
    expect(stage.refusals).toBe(3);
    const [letter, ...more] = await listDeadLetters(stage.client, 1);
    expect(more).toEqual([]);
    expect(letter).toMatchObject({
      producer: maker.producer.id,
      seq: 7,
      clicks: 3,
      reason: "value too long",
      deliveries: 3,
    });
    expect((await batchesInTransit(stage.client, 1, 100)).batches).toEqual([
      { producer: maker.producer.id, seq: 7, clicks: 3, state: "dead" },
    ]);
  });

  test("a dead letter that is requeued is stored", async () => {
    store.poisoned.add(1);
    await stage.append(maker.many(1));
    stage.worker(store, { maxDeliveries: 1 });
    await waitFor("the dead letter", () => stage.buried.length > 0);
    store.poisoned.clear();
    const [letter] = await listDeadLetters(stage.client, 1);
    expect(await requeueDeadLetter(stage.client, letter?.id ?? "")).toBe(true);
    await stage.drained();
    expect(maker.made.every((batch) => store.has(batch))).toBe(true);
    expect(await redis.client.xlen(deadKey(0))).toBe(0);
    expect(await requeueDeadLetter(stage.client, letter?.id ?? "")).toBe(false);
  });

  test("what cannot be read is put aside at once, with its bytes", async () => {
    await redis.client.xadd(KEY, "*", "b", "nonsense");
    await redis.client.xadd(KEY, "*", "unknown", "field");
    await redis.client.xadd(KEY, "*", "g", "{}");
    await stage.append(maker.many(3));
    stage.worker(store);
    await stage.drained();
    expect(store.batches.size).toBe(3);
    expect(stage.buried.length).toBe(3);
    const [entry] = await redis.client.xrange(deadKey(0), "-", "+");
    expect(entry?.[1].slice(-2)).toEqual(["b", "nonsense"]);
  });

  test("while workers are behind, batches keep their distance, and not afterwards", async () => {
    const pauseMs = 20;
    const sender = await stage.connectedSender({ behindEntries: 5, pauseMs, checkEveryMs: 60_000 });
    // Its pause is the stage's default: longer than a test may take.
    const patient = await stage.connectedSender({ behindEntries: 5, checkEveryMs: 60_000 });
    const append = async (batches: number, by = sender) => {
      for (let batch = 0; batch < batches; batch++) await by.storeBatches([maker.next()]);
    };
    await append(6);
    await Promise.all([sender.check(), patient.check()]);
    await append(1);
    const startedAtMs = performance.now();
    await append(5);
    expect(performance.now() - startedAtMs).toBeGreaterThan(4 * pauseMs);
    stage.worker(store);
    await stage.drained();
    await patient.check();
    await append(2, patient);
    await stage.drained();
    expect(store.batches.size).toBe(maker.made.length);
  });

  test("above its bound the stream takes nothing more, and what is in it stays", async () => {
    const sender = await stage.connectedSender({ maxBytes: 50_000 });
    let error: unknown;
    while (error === undefined && maker.made.length < 1_000) {
      error = await sender.storeBatches([maker.next(30)]).then(
        () => undefined,
        (refusal: unknown) => refusal,
      );
    }
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    const appended = maker.made.length - 1;
    expect(await stage.length()).toBe(appended);
    expect(appended * 30 * 20).toBeGreaterThan(30_000);
    await sender.check();
    expect(stage.sizes[0]?.bytes).toBeGreaterThan(40_000);
    expect(stage.sizes[0]?.entries).toBe(appended);
    stage.worker(store);
    await stage.drained();
    await waitFor("room", () =>
      sender.storeBatches([maker.next()]).then(
        () => true,
        () => false,
      ),
    );
    await stage.drained();
    expect(store.batches.size).toBe(appended + 1);
  });

  test("the facts say how long, how old and how large the stream is", async () => {
    await stage.append(maker.many(6, 50));
    await waitFor(
      "the oldest entry to age",
      async () => ((await streamFacts(stage.client, 1))[0]?.oldestMs ?? 0) > 30,
    );
    const [facts] = await streamFacts(stage.client, 1);
    expect(facts).toMatchObject({ partition: 0, entries: 6, dead: 0, consumers: [] });
    expect(facts?.bytes).toBeGreaterThan(1_000);
    const { batches, complete } = await batchesInTransit(stage.client, 1, 100);
    expect(complete).toBe(true);
    expect(batches.map(({ seq, clicks, state }) => [seq, clicks, state])).toEqual(
      [1, 2, 3, 4, 5, 6].map((seq) => [seq, 50, "waiting"]),
    );
    expect(await batchesInTransit(stage.client, 1, 5)).toMatchObject({ complete: false });
  });

  test("what a worker has read and not confirmed is told by its name", async () => {
    await stage.append(maker.many(5));
    expect((await batchesInTransit(stage.client, 1, 100)).readers).toEqual([]);
    await redis.client.xgroup("CREATE", KEY, GROUP, "0");
    await redis.client.xreadgroup("GROUP", GROUP, "slow", "COUNT", 2, "STREAMS", KEY, ">");
    const { batches, readers } = await batchesInTransit(stage.client, 1, 100);
    expect(batches).toHaveLength(5);
    expect(readers).toEqual([
      { partition: 0, name: "slow", batches: 2, idleMs: expect.any(Number) as number },
    ]);
  });

  test.each(["a host", "a socket"])(
    "a user, a password and a database of the URL of %s are used, and a wrong password is said at once",
    async (place) => {
      const url = place === "a host" ? `${redis.url}/3` : `${redis.socketUrl}?db=3`;
      const as = (credentials: string) => url.replace("://", `://${credentials}@`);
      await redis.client.call("ACL", "SETUSER", "hop", "on", ">s3cret@", "~*", "+@all");
      try {
        const own = new StreamStage(as("hop:s3cret%40"));
        await own.ready();
        await own.append(maker.many(2));
        await own.clear();
        expect(await redis.client.xlen(KEY)).toBe(0);
        await redis.client.select(3);
        expect(await redis.client.xlen(KEY)).toBe(2);
        await redis.client.del(KEY);
      } finally {
        await redis.client.select(0);
      }
      const { code, output } = await runHop(["dead", "list"], { HOP_REDIS_URL: as("hop:wrong") });
      expect(code).toBe(1);
      expect(output).toMatch(/^hop: HOP_REDIS_URL: Redis refuses \(.*WRONGPASS.*\); correct the URL\n$/);
      expect(output).not.toContain("hop:wrong");
    },
  );

  test("at batches of 32 clicks Redis keeps less than 120 bytes a click", async () => {
    await stage.append(maker.many(500, 32));
    const [facts] = await streamFacts(stage.client, 1);
    expect((facts?.bytes ?? Infinity) / (500 * 32)).toBeLessThan(120);
  });
});
