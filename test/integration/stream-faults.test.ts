// Redis is killed, frozen and failed over while batches are appended: what was confirmed is stored.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { RedisClickStream } from "../../src/storage/redis/click-stream.ts";
import { streamKey } from "../../src/storage/redis/stream-entries.ts";
import { errorOf } from "../helpers/error-of.ts";
import { LedgerStore } from "../helpers/ledger-store.ts";
import { startCluster, type TestCluster, TestRedis } from "../helpers/redis.ts";
import { BatchMaker, StreamStage } from "../helpers/stream-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

/** Appends without a pause until it is told to end, and keeps what was confirmed. */
class Appender {
  readonly confirmed: number[] = [];
  readonly maker = new BatchMaker();
  failures = 0;
  #ending = false;
  readonly #running: Promise<void>;

  constructor(sender: RedisClickStream) {
    this.#running = this.#run(sender);
  }

  async #run(sender: RedisClickStream): Promise<void> {
    while (!this.#ending) {
      const batch = this.maker.next();
      try {
        await sender.storeBatches([batch]);
        this.confirmed.push(batch.seq);
      } catch {
        // Whatever it was, this batch counts as not confirmed. The next one may meet the same.
        this.failures++;
        await Bun.sleep(5);
      }
    }
  }

  async until(confirmed: number): Promise<void> {
    await waitFor(`${confirmed} confirmed batches`, () => this.confirmed.length >= confirmed, {
      timeoutMs: 30_000,
    });
  }

  async end(): Promise<void> {
    this.#ending = true;
    await this.#running;
  }

  /** Numbers that were confirmed and are not in the store. */
  lost(store: LedgerStore): number[] {
    const { producer } = this.maker;
    return this.confirmed.filter((seq) => !store.has({ producer, seq, clicks: [] }));
  }
}

describe("one Redis", () => {
  let redis: TestRedis;
  let stage: StreamStage;
  let store: LedgerStore;
  afterEach(async () => {
    await stage.clear();
    await redis.stop();
  });
  async function open(options: Parameters<typeof TestRedis.start>[0]) {
    redis = await TestRedis.start(options);
    stage = new StreamStage(redis.url);
    store = new LedgerStore();
    await stage.ready();
  }

  test("killed and restarted with everysec: all that was confirmed is stored", async () => {
    await open({ fsync: "everysec" });
    const appender = new Appender(await stage.connectedSender());
    stage.worker(store);
    for (let round = 1; round <= 3; round++) {
      await appender.until(round * 300);
      await redis.kill();
      await redis.start();
    }
    await appender.until(1_200);
    await appender.end();
    await stage.drained();
    expect(appender.lost(store)).toEqual([]);
    expect(appender.failures).toBeGreaterThan(0);
    expect(stage.buried).toEqual([]);
  });

  const losses = {
    /** A Redis that keeps nothing on disk loses all on a kill: what the last seconds of a real one may do, made certain. */
    "restarted without what it had confirmed": async () => {
      await redis.kill();
      await redis.start();
    },
    "emptied by FLUSHALL": () => redis.client.flushall(),
  };
  test.each(Object.entries(losses))("%s: it is sent again, and without that it is lost", async (_, lose) => {
    await open({});
    const resending = new Appender(await stage.connectedSender());
    const forgetful = new Appender(await stage.connectedSender({ resendMaxBytes: 1 }));
    await resending.until(100);
    await forgetful.until(100);
    await Promise.all([resending.end(), forgetful.end()]);
    await lose();
    await waitFor("the batches to be sent again", () => stage.resent.length > 0);
    stage.worker(store);
    await waitFor("the batches to be stored", () => resending.lost(store).length === 0);
    await stage.drained();
    expect(forgetful.lost(store).length).toBe(forgetful.confirmed.length);
  });

  test("what was confirmed long before is not kept", async () => {
    await open({});
    const sender = await stage.connectedSender({ resendMs: 1 });
    const maker = new BatchMaker();
    for (const batch of maker.many(10)) await sender.storeBatches([batch]);
    const sentAtMs = performance.now();
    await waitFor("the batches to be older than they are kept", () => performance.now() - sentAtMs > 20);
    await sender.check();
    await redis.kill();
    await redis.start();
    await waitFor("the new master to be seen", () =>
      sender.check().then(
        () => true,
        () => false,
      ),
    );
    expect(stage.resent).toEqual([]);
  });

  test("frozen: appends fail within their timeout, and it goes on when it thaws", async () => {
    await open({ fsync: "everysec" });
    const sender = await stage.connectedSender({ commandTimeoutMs: 200 });
    const maker = new BatchMaker();
    await sender.storeBatches([maker.next()]);
    redis.pause();
    const startedAtMs = performance.now();
    expect(await errorOf(sender.storeBatches([maker.next()]))).toMatchObject({
      code: "TEMPORARILY_UNAVAILABLE",
    });
    expect(performance.now() - startedAtMs).toBeLessThan(2_000);
    redis.resume();
    stage.worker(store);
    await waitFor("the rest to be sent", () =>
      sender.storeBatches(maker.made).then(
        () => true,
        () => false,
      ),
    );
    await stage.drained();
    expect(store.batches.size).toBe(2);
  });

  test("always with a replica that is frozen: WAIT does not confirm", async () => {
    await open({ fsync: "always", arguments: ["--repl-diskless-sync-delay", "0"] });
    const replica = await TestRedis.start({ arguments: ["--replicaof", "127.0.0.1", String(redis.port)] });
    try {
      await waitFor("the replica", async () => /state=online/.test(await redis.client.info("replication")));
      const sender = await stage.connectedSender({ waitReplicas: 1, waitMs: 300 });
      const maker = new BatchMaker();
      const confirms = () =>
        waitFor("the replica to confirm", () =>
          sender.storeBatches([maker.next()]).then(
            () => true,
            () => false,
          ),
        );
      await confirms();
      replica.pause();
      expect(await errorOf(sender.storeBatches([maker.next()]))).toMatchObject({
        code: "TEMPORARILY_UNAVAILABLE",
      });
      replica.resume();
      await confirms();
    } finally {
      await replica.stop();
    }
  });
});

describe("a cluster of three masters and three replicas", () => {
  const PARTITIONS = 6;
  let cluster: TestCluster;
  let stage: StreamStage;
  let store: LedgerStore;
  beforeEach(async () => {
    cluster = await startCluster();
    stage = new StreamStage(cluster.url, PARTITIONS);
    store = new LedgerStore();
    await stage.ready();
  });
  afterEach(async () => {
    await stage.clear();
    await cluster.stop();
  });

  /** Freezes the replica of partition 0's master, so that what it confirms now exists nowhere else, and then kills it. */
  async function loseMaster(appenders: readonly Appender[]): Promise<void> {
    const master = await cluster.masterOf(streamKey(0));
    const replica = cluster.nodes[cluster.nodes.findIndex((node) => node === master) + 3];
    if (master === undefined || replica === undefined) throw new Error("the cluster is not as it was made");
    replica.pause();
    // What is on its way to a frozen process still reaches it; a connection that is gone brings nothing more.
    await master.client.call("CLIENT", "KILL", "TYPE", "replica");
    await Promise.all(appenders.map((appender) => appender.until(appender.confirmed.length + 60)));
    await master.kill();
    replica.resume();
    await waitFor(
      "the replica to take over",
      async () => (await cluster.masterOf(streamKey(0))) === replica,
      {
        timeoutMs: 30_000,
      },
    );
  }

  test("a master is lost: what only it had is sent again, and without that it is lost", async () => {
    const resending = new Appender(await stage.connectedSender());
    const forgetful = new Appender(await stage.connectedSender({ resendMaxBytes: 1 }));
    await Promise.all([resending.until(100), forgetful.until(100)]);
    await loseMaster([resending, forgetful]);
    await waitFor("the batches to be sent again", () => stage.resent.length > 0, { timeoutMs: 30_000 });
    await Promise.all(
      [resending, forgetful].map((appender) => appender.until(appender.confirmed.length + 100)),
    );
    await Promise.all([resending.end(), forgetful.end()]);
    stage.worker(store);
    await waitFor("the batches to be stored", () => resending.lost(store).length === 0, {
      timeoutMs: 30_000,
    });
    await stage.drained();
    console.log(
      `lost without re-send: ${forgetful.lost(store).length} of ${forgetful.confirmed.length} confirmed batches; with it: ${resending.lost(store).length} of ${resending.confirmed.length}`,
    );
    expect(forgetful.lost(store).length).toBeGreaterThan(0);
  });

  test("a master is lost under appends that wait for a replica: nothing that was confirmed is lost", async () => {
    const waiting = new Appender(
      await stage.connectedSender({ waitReplicas: 1, waitMs: 100, resendMaxBytes: 1 }),
    );
    stage.worker(store);
    await waiting.until(100);
    const master = await cluster.masterOf(streamKey(0));
    await master?.kill();
    await waitFor(
      "a replica to take over",
      async () => (await cluster.masterOf(streamKey(0))) !== undefined,
      {
        timeoutMs: 30_000,
      },
    );
    await waiting.until(waiting.confirmed.length + 50);
    await waiting.end();
    await waitFor("the batches to be stored", () => waiting.lost(store).length === 0, { timeoutMs: 30_000 });
    expect(waiting.failures).toBeGreaterThan(0);
    console.log(
      `lost with WAIT and without re-send: ${waiting.lost(store).length} of ${waiting.confirmed.length} confirmed batches; ${waiting.failures} were not confirmed`,
    );
  });
});
