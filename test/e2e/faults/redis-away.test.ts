// P2 and P4 while Redis is away, killed or frozen: every redirect is served in time, and every click is counted afterwards.
import { afterAll, beforeAll, expect } from "bun:test";
import { findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { startHop, startWork } from "../../helpers/hop-process.ts";
import { summarise } from "../../helpers/latencies.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { TestRedis } from "../../helpers/redis.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const CODES = ["one", "two", "three"];
/** Of redirects during the outage. */
const P99_MS = 150;
const SHORT_MS = 3_000;
const LONG_MS = 20_000;
const STREAM = "hop:clicks:{0}";
const STREAMED = 'hop_clicks_total{stage="streamed"}';

let database: TestDatabase;
let redis: TestRedis;
beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), TestRedis.start({ fsync: "everysec" })]);
});
afterAll(() => Promise.all([database.drop(), redis.stop()]));

/** How Redis goes away and comes back. */
const WAYS = {
  killed: { leave: () => redis.kill(), comeBack: () => redis.start() },
  frozen: { leave: async () => redis.pause(), comeBack: async () => redis.resume() },
};

for (const way of ["killed", "frozen"] as const) {
  faultTest(
    `while Redis is away (${way}) no redirect fails or is slow, and every click is stored once when it is back`,
    // The first of many rounds lasts 20 s.
    { few: 1, full: 3 },
    async ({ rounds, random, begin }) => {
      const env = { HOP_DATABASE_URL: database.url, HOP_REDIS_URL: redis.url };
      await redis.client.flushall();
      const hop = await startHop(env);
      const worker = await startWork(env);
      const codes = CODES.map((code) => `${code}-${way}`);
      for (const code of codes) {
        const made = await hop.api("POST", "/api/v1/links", { url: `https://example.com/${code}`, code });
        expect(made.status).toBe(201);
      }
      let awaySinceMs = Number.POSITIVE_INFINITY;
      const latencies: number[] = [];
      const load = new RedirectLoad({
        codes,
        connections: 4,
        random,
        onAnswer: (_code, { startedAtMs, endedAtMs }) => {
          if (startedAtMs >= awaySinceMs) latencies.push(endedAtMs - startedAtMs);
        },
      });
      load.start(hop.url);
      await waitFor("clicks in the stream", async () => (await hop.metric(STREAMED)) > 100);
      for (let round = 1; round <= rounds; round++) {
        begin(round, way);
        awaySinceMs = performance.now();
        const servedBefore = latencies.length;
        await WAYS[way].leave();
        await Bun.sleep(rounds > 1 && round === 1 ? LONG_MS : SHORT_MS);
        await WAYS[way].comeBack();
        awaySinceMs = Number.POSITIVE_INFINITY;
        expect(latencies.length - servedBefore).toBeGreaterThan(100);
        const streamedBefore = await hop.metric(STREAMED);
        await waitFor(
          "the stream to take clicks again",
          async () => (await hop.metric(STREAMED)) > streamedBefore + 100,
        );
      }
      await load.stop();
      await waitFor("the spool to be delivered", async () => (await hop.metric("hop_spool_bytes")) === 0, {
        timeoutMs: 60_000,
      });
      await waitFor("the stream to be empty", async () => (await redis.client.xlen(STREAM)) === 0, {
        timeoutMs: 60_000,
      });

      const { text, p99 } = summarise(latencies);
      expect([...load.statuses.keys()]).toEqual([302]);
      expect([load.hung, load.sent - load.received]).toEqual([0, 0]);
      expect(await hop.metric('hop_clicks_total{stage="spooled"}')).toBeGreaterThan(100);
      expect(await findMiscounts(database.sql, hop, load.tallies)).toEqual([]);
      expect(await hop.kill("SIGTERM")).toBe(0);
      await waitFor("the goodbye to be stored", async () => (await redis.client.xlen(STREAM)) === 0);
      expect(await worker.kill("SIGTERM")).toBe(0);
      expect(await readLedger(env)).toMatchObject({ exitCode: 0, verdict: "balanced", reasons: [] });
      expect(p99).toBeLessThan(P99_MS);
      return `${load.received} redirects received and stored; during the outages ${text}`;
    },
  );
}
