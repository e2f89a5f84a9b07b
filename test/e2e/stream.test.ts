// Clicks through Redis with real processes: hop serve appends them, hop work stores them, whatever ends in between.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { streamKey } from "../../src/storage/redis/stream-entries.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import {
  type HopProcess,
  runHop,
  startHop,
  startWork,
  type WorkProcess,
  freePort,
} from "../helpers/hop-process.ts";
import { TestRedis } from "../helpers/redis.ts";
import { waitFor } from "../helpers/wait-for.ts";

const KEY = streamKey(0);

describe("hop serve and hop work", () => {
  let redis: TestRedis;
  let database: TestDatabase;
  let hop: HopProcess;
  let workers: WorkProcess[];
  let env: Record<string, string>;
  /** Redirects that were answered. */
  let followed: number;
  beforeAll(async () => {
    redis = await TestRedis.start({ fsync: "everysec" });
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    await redis.client.flushall();
    workers = [];
    followed = 0;
    database = await createTestDatabase();
    env = { HOP_DATABASE_URL: database.url, HOP_REDIS_URL: redis.url };
    hop = await startHop(env);
    await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "go" });
    await waitFor("the stream to take clicks", async () => (await follow()) === 302);
  });
  afterEach(async () => {
    for (const worker of workers) await worker.kill("SIGKILL");
    await hop.kill("SIGKILL");
    await database.drop();
  });

  async function follow(): Promise<number> {
    const { status } = await fetch(`${hop.url}/go`, { redirect: "manual" });
    if (status === 302) followed++;
    return status;
  }
  async function followMany(count: number): Promise<void> {
    const statuses = await Promise.all(Array.from({ length: count }, follow));
    expect(statuses.every((status) => status === 302)).toBe(true);
  }
  async function work(more: Record<string, string> = {}): Promise<WorkProcess> {
    const worker = await startWork({ ...env, ...more });
    workers.push(worker);
    return worker;
  }
  const waiting = () => redis.client.xlen(KEY);
  const stored = async () => {
    const [row] = await database.sql<{ clicks: number }[]>`
      SELECT coalesce(sum(clicks), 0)::bigint AS clicks FROM click_batches`;
    return row?.clicks ?? 0;
  };
  const allStored = () =>
    waitFor("all clicks to be stored", async () => (await stored()) === followed && (await waiting()) === 0);

  test("a click waits in the stream until a worker stores it, and metrics say so", async () => {
    await followMany(50);
    expect(await stored()).toBe(0);
    await waitFor("the gauge", async () => (await hop.metric("hop_stream_pending")) === (await waiting()));
    expect(await hop.metric("hop_stream_bytes")).toBeGreaterThan(0);
    expect(await hop.metric('hop_clicks_total{stage="streamed"}')).toBe(followed);
    const worker = await work();
    await allStored();
    expect(await worker.metric('hop_clicks_total{stage="stored"}')).toBe(followed);
    await waitFor("the gauge", async () => (await worker.metric("hop_stream_pending")) === 0);
    expect((await fetch(`${worker.adminUrl}/readyz`)).status).toBe(200);
    const ledger = await runHop(["ledger"], env);
    expect([ledger.code, ledger.output]).toEqual([0, ledger.output]);
  });

  test("a worker that is killed leaves nothing behind for the one that comes back", async () => {
    const port = String(await freePort());
    const first = await work({ HOP_WORK_ADMIN_PORT: port });
    await followMany(200);
    await first.kill("SIGKILL");
    await followMany(200);
    await work({ HOP_WORK_ADMIN_PORT: port });
    await allStored();
    await followMany(20);
    await allStored();
  });

  test("SIGTERM: a worker confirms what it has, leaves the group and exits 0", async () => {
    const worker = await work();
    await followMany(100);
    expect(await worker.kill("SIGTERM")).toBe(0);
    const [consumers] = [(await redis.client.xinfo("CONSUMERS", KEY, "hop")) as unknown[]];
    expect(consumers).toEqual([]);
    await work();
    await allStored();
  });

  test("Postgres goes away and comes back: the worker stores what came meanwhile", async () => {
    const worker = await work();
    // The news of the link's making may have come after the first redirect and emptied the cache again.
    await followMany(1);
    database.proxy.setMode("refuse");
    database.proxy.cut();
    await followMany(30);
    await waitFor("the worker to notice", async () => (await worker.metric("hop_click_retries_total")) > 0);
    expect((await fetch(`${worker.adminUrl}/readyz`)).status).toBe(503);
    database.proxy.setMode("pass");
    await allStored();
  });

  test("what a server says when it ends reaches the ledger, which balances", async () => {
    await work();
    await followMany(10);
    expect(await hop.kill("SIGTERM")).toBe(0);
    await waitFor("the goodbye", async () => {
      const rows =
        await database.sql`SELECT FROM producers WHERE recorder = 'stream' AND ended_at IS NOT NULL`;
      return rows.length > 0;
    });
    await allStored();
    const ledger = await runHop(["ledger", "--json"], env);
    expect(ledger.output).toContain('"verdict": "balanced"');
    expect(ledger.code).toBe(0);
  });

  test("hop ledger accounts for what waits, and proves the loss of what is taken away", async () => {
    for (let count = 0; count < 4; count++) await follow();
    const before = await runHop(["ledger", "--json"], env);
    expect(before.code).toBe(0);
    expect(JSON.parse(before.output)).toMatchObject({ verdict: "balanced", waitingClicks: followed });
    const entries = await redis.client.xrange(KEY, "-", "+");
    // More than one when it was sent twice, as while the server was not connected yet.
    const third = entries.filter(([, fields]) => fields[fields.indexOf("s") + 1] === "3");
    await redis.client.xdel(KEY, ...third.map(([id]) => id));
    await work();
    await waitFor("the rest to be stored", async () => (await waiting()) === 0);
    const after = await runHop(["ledger"], env);
    expect(after.code).toBe(1);
    expect(after.output).toContain("lacks 1 of 5 batches (numbers 3)");
  });

  test("hop dead lists what cannot be stored and puts it back", async () => {
    await redis.client.xadd(KEY, "*", "b", "nonsense");
    expect((await runHop(["dead", "list"], env)).output).toBe("no batch was put aside\n");
    const worker = await work();
    await waitFor("the dead letter", async () => (await worker.metric("hop_stream_buried_total")) === 1);
    const listed = await runHop(["dead", "list", "--json"], env);
    const [letter] = JSON.parse(listed.output) as { id: string; reason: string }[];
    expect(letter?.reason.length).toBeGreaterThan(5);
    await worker.kill("SIGTERM");
    const id = letter?.id ?? "";
    expect(await runHop(["dead", "requeue", "0/1-1"], env)).toMatchObject({ code: 1 });
    expect(await runHop(["dead", "requeue"], env)).toMatchObject({ code: 64 });
    expect(await runHop(["dead", "requeue", id], env)).toEqual({
      code: 0,
      output: "1 batch is in the stream again\n",
    });
    await work();
    await waitFor(
      "the dead letter again",
      async () => (await redis.client.xlen("hop:clicks:dead:{0}")) === 1,
    );
    expect((await runHop(["dead", "requeue", "--all"], env)).output).toBe("1 batch is in the stream again\n");
  });

  test("hop work says what it needs", async () => {
    const { HOP_DATABASE_URL: databaseUrl = "" } = env;
    const without = await runHop(["work"], { HOP_DATABASE_URL: databaseUrl });
    expect(without.code).toBe(64);
    expect(without.output).toContain("HOP_REDIS_URL");
    const nowhere = await runHop(["work"], {
      ...env,
      HOP_REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
      HOP_START_TIMEOUT_MS: "500",
      HOP_LOG_LEVEL: "silent",
    });
    expect(nowhere.code).toBe(1);
    expect(nowhere.output).toMatch(
      /^hop: HOP_REDIS_URL: Redis did not answer for 1 s \(.*\); start it or correct the URL\n$/,
    );
    using silent = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => socket.terminate(), data: () => undefined },
    });
    const hungUp = await runHop(["work"], {
      ...env,
      HOP_REDIS_URL: `redis://127.0.0.1:${silent.port}`,
      HOP_START_TIMEOUT_MS: "500",
      HOP_LOG_LEVEL: "silent",
    });
    expect(hungUp.output).toContain("it is in protected mode and wants a password");
    await database.sql`DROP TABLE hop_migrations`;
    const unmigrated = await runHop(["work"], {
      ...env,
      HOP_START_TIMEOUT_MS: "500",
      HOP_LOG_LEVEL: "silent",
    });
    expect(unmigrated.output).toContain("hop migrate up");
  });
});
