// P2 and P4 while Postgres cannot be reached, refused or silent: known links redirect, the rest is 503 in time, and all is counted.
import { afterAll, beforeAll, expect } from "bun:test";
import { findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { type HopProcess, startHop, startWork } from "../../helpers/hop-process.ts";
import { summarise } from "../../helpers/latencies.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { TestRedis } from "../../helpers/redis.ts";
import type { ProxyMode } from "../../helpers/tcp-proxy.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const CODES = ["known-1", "known-2", "known-3"];
const STORED = 'hop_clicks_total{stage="stored"}';
const CLICKS_TIMEOUT_MS = 1_000;
const LOOKUP_TIMEOUT_MS = 1_000;
/** Timers and a busy machine; less than a second wait, so that waiting twice is found out. */
const MARGIN_MS = 700;
/** Two connect timeouts of 5 s, for a connection that was begun just before the silence ended, and a worker's pause. */
const BACK_MS = 15_000;
/** Of redirects of known links during the outage. */
const P99_MS = 150;
const LONG_MS = 20_000;
const STREAM = "hop:clicks:{0}";

let database: TestDatabase;
let redis: TestRedis;
beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), TestRedis.start({ fsync: "everysec" })]);
});
afterAll(() => Promise.all([database.drop(), redis.stop()]));

const CASES = (["batch", "stream"] as const).flatMap((clicks) =>
  (["refuse", "silence"] as const satisfies readonly ProxyMode[]).map((mode) => ({ clicks, mode })),
);

for (const { clicks, mode } of CASES) {
  faultTest(
    `while Postgres is away (${clicks}, ${mode}) known links redirect in time, unknown codes and creates answer 503, and every click is counted afterwards`,
    // The first of many rounds lasts 20 s.
    { few: 1, full: 4 },
    async ({ rounds, random, begin }) => {
      const env = {
        HOP_DATABASE_URL: database.url,
        HOP_CLICKS: clicks,
        ...(clicks === "stream" && { HOP_REDIS_URL: redis.url }),
        HOP_CLICKS_TIMEOUT_MS: String(CLICKS_TIMEOUT_MS),
        HOP_LOOKUP_TIMEOUT_MS: String(LOOKUP_TIMEOUT_MS),
      };
      const hop = await startHop(env);
      const worker = clicks === "stream" ? await startWork(env) : undefined;
      const stored = () => (worker ?? hop).metric(STORED);
      const codes = CODES.map((code) => `${code}-${clicks}-${mode}`);
      for (const code of codes) {
        const made = await hop.api("POST", "/api/v1/links", { url: `https://example.com/${code}`, code });
        expect(made.status).toBe(201);
      }
      let awaySinceMs = Number.POSITIVE_INFINITY;
      const latencies: number[] = [];
      const load = new RedirectLoad({
        codes,
        connections: 8,
        random,
        onAnswer: (_code, { startedAtMs, endedAtMs }) => {
          if (startedAtMs >= awaySinceMs) latencies.push(endedAtMs - startedAtMs);
        },
      });
      const backMs: number[] = [];

      for (let round = 1; round <= rounds; round++) {
        begin(round, mode);
        load.start(hop.url);
        await untilReceived(load, random.integer(50, 1_000));
        awaySinceMs = performance.now();
        database.proxy.setMode(mode);
        database.proxy.cut();
        const receivedBefore = load.received;
        const lastsMs = rounds > 1 && round === 1 ? LONG_MS : random.integer(2_000, 3_500);
        await probe(hop, { prefix: `${clicks}-${mode}-${round}`, known: codes[0] ?? "", lastsMs });
        expect(load.received).toBeGreaterThan(receivedBefore + 100);
        const startedAtMs = performance.now();
        awaySinceMs = Number.POSITIVE_INFINITY;
        database.proxy.setMode("pass");
        const storedBefore = await stored();
        await waitFor("clicks to be stored", async () => (await stored()) > storedBefore + 100, {
          timeoutMs: BACK_MS,
        });
        backMs.push(performance.now() - startedAtMs);
        await load.stop();
        await waitFor("creates to work again", async () => {
          const { status } = await hop.api("POST", "/api/v1/links", { url: "https://example.com/back" });
          return status === 201;
        });
      }

      expect(load.hung).toBe(0);
      expect([...load.statuses.keys()].toSorted((a, b) => a - b)).toEqual([302]);
      expect(load.slowestMs).toBeLessThan(CLICKS_TIMEOUT_MS + MARGIN_MS);
      const drained = async () => (await redis.client.xlen(STREAM)) === 0;
      await waitFor("the stream to be empty", drained, { timeoutMs: 60_000 });
      expect(await findMiscounts(database.sql, hop, load.tallies)).toEqual([]);
      expect(await hop.kill("SIGTERM")).toBe(0);
      await waitFor("the goodbye to be stored", drained);
      expect(await (worker?.kill("SIGTERM") ?? 0)).toBe(0);
      expect(await readLedger(env)).toMatchObject({ exitCode: 0, verdict: "balanced", reasons: [] });
      const { text, p99 } = summarise(latencies);
      expect(p99).toBeLessThan(P99_MS);
      return (
        `during the outages ${text}; ${load.received} redirects received of ${load.sent} requests, slowest answer ${load.slowestMs.toFixed(0)} ms ` +
        `(HOP_CLICKS_TIMEOUT_MS=${CLICKS_TIMEOUT_MS}), storing again ${backMs.map((ms) => ms.toFixed(0)).join(", ")} ms after the outage`
      );
    },
  );
}

/** Asks all through the outage for codes nobody asked for before, and for new links. */
async function probe(
  hop: HopProcess,
  { prefix, known, lastsMs }: { prefix: string; known: string; lastsMs: number },
) {
  const endsAtMs = performance.now() + lastsMs;
  for (let number = 0; performance.now() < endsAtMs; number++) {
    const startedAtMs = performance.now();
    const answers = await Promise.all([
      hop.api("GET", `/never-asked-${prefix}-${number}`),
      hop.api("POST", "/api/v1/links", { url: "https://example.com/new" }),
      hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: `during-${prefix}-${number}` }),
      hop.api("PATCH", `/api/v1/links/${known}`, { title: "during" }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
    expect(answers.every(({ headers }) => headers.has("retry-after"))).toBe(true);
    expect(performance.now() - startedAtMs).toBeLessThan(LOOKUP_TIMEOUT_MS + MARGIN_MS);
    // A load balancer must not take away all servers because they share a Postgres.
    for (const path of ["/livez", "/readyz"]) expect((await hop.api("GET", path)).status).toBe(200);
    await Bun.sleep(20);
  }
}

async function untilReceived(load: RedirectLoad, more: number, timeoutMs = 15_000): Promise<void> {
  const enough = load.received + more;
  await waitFor(`${more} redirects`, () => load.received >= enough, { everyMs: 1, timeoutMs });
}
