// Tracing with real processes and a real collector: one trace across the queue, nothing private in it, and never in the way.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, startHop, startWork, type WorkProcess } from "../helpers/hop-process.ts";
import { TestRedis } from "../helpers/redis.ts";
import { type CollectedSpan, TraceCollector } from "../helpers/trace-collector.ts";
import { waitFor } from "../helpers/wait-for.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID = "b7ad6b7169203331";

let redis: TestRedis;
let database: TestDatabase;
let collector: TraceCollector;
let hop: HopProcess;
let worker: WorkProcess | undefined;

beforeAll(async () => {
  redis = await TestRedis.start();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  await redis.client.flushall();
  database = await createTestDatabase();
  collector = new TraceCollector();
});
afterEach(async () => {
  await Promise.all([hop.kill("SIGKILL"), worker?.kill("SIGKILL")]);
  worker = undefined;
  await collector.close();
  await database.drop();
});

async function start(env: Record<string, string>): Promise<Record<string, string>> {
  const all = {
    HOP_DATABASE_URL: database.url,
    HOP_TRACE_URL: collector.url,
    // On a machine that is slow for a moment clicks would go to the spool, which forgets traces.
    HOP_CLICKS_WAIT_MS: "5000",
    ...env,
  };
  hop = await startHop(all);
  const made = await hop.api("POST", "/api/v1/links", {
    url: "https://example.com/?secret=in-target",
    code: "go",
  });
  expect(made.status).toBe(201);
  return all;
}

async function follow(traceparent?: string, path = "go"): Promise<number> {
  const headers = {
    "User-Agent": "private-agent/1.0",
    Referer: "https://private.example/page",
    "X-Forwarded-For": "203.0.113.77",
    ...(traceparent !== undefined && { traceparent }),
  };
  const { status } = await fetch(`${hop.url}/${path}`, { redirect: "manual", headers });
  return status;
}

function named(name: string): CollectedSpan[] {
  return collector.spans.filter((span) => span.name === name);
}

describe("a traced redirect", () => {
  test("is one trace from the request over its click's batch in Redis to the worker's transaction", async () => {
    const env = await start({ HOP_REDIS_URL: redis.url, HOP_TRACE_SAMPLE: "1" });
    worker = await startWork(env);
    // The first batches may go to the spool, which forgets traces, while Redis is being connected.
    const stored = await waitFor("a stored click in a trace", async () => {
      expect(await follow()).toBe(302);
      return named("store clicks")[0];
    });
    const [redirect, append, store, ...more] = await waitFor("the whole trace", () => {
      const spans = collector.trace(stored.traceId);
      return spans.length >= 3 ? spans : undefined;
    });
    expect(more).toEqual([]);
    expect(redirect).toMatchObject({
      name: "GET /:code",
      process: "serve",
      parentSpanId: undefined,
      failed: false,
    });
    expect(append).toMatchObject({ name: "append clicks", process: "serve", parentSpanId: redirect?.spanId });
    expect(store).toMatchObject({ name: "store clicks", process: "work", parentSpanId: append?.spanId });
    expect(redirect?.attributes.get("http.response.status_code")).toBe(302);
    expect(redirect?.attributes.get("hop.code")).toBe("go");
    expect(redirect?.attributes.get("hop.link_id")).toBe(1);
    expect(append?.attributes.get("hop.batch.seq")).toBe(store?.attributes.get("hop.batch.seq"));
    // The redirect was answered when its click was in Redis; a span's clock starts at a whole millisecond.
    expect(Number((redirect?.endNs ?? 0n) - (append?.endNs ?? 0n))).toBeGreaterThan(-2_000_000);
  });

  test("continues the trace of its caller, whose decision wins over the sample", async () => {
    await start({ HOP_CLICKS: "batch", HOP_TRACE_SAMPLE: "0" });
    expect(await follow(`00-${"1".repeat(32)}-${PARENT_ID}-00`)).toBe(302);
    expect(await follow("00-not-a-traceparent")).toBe(302);
    expect(await follow()).toBe(302);
    expect(await follow(`00-${TRACE_ID}-${PARENT_ID}-01`)).toBe(302);
    expect(await follow(`00-${TRACE_ID}-${PARENT_ID}-01`, "nobody")).toBe(404);
    await waitFor(
      "both traced requests and a click",
      () => named("GET /:code").length === 2 && named("store clicks").length > 0,
    );
    const [first, second] = named("GET /:code");
    expect([first, second].map((span) => span?.parentSpanId)).toEqual([PARENT_ID, PARENT_ID]);
    expect([first, second].map((span) => span?.attributes.get("http.response.status_code"))).toEqual([
      302, 404,
    ]);
    expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE_ID]));
    expect(named("store clicks")).toMatchObject([{ parentSpanId: first?.spanId, process: "serve" }]);
  });

  test("tells nothing of who came, from where, and where the link goes", async () => {
    await start({ HOP_CLICKS: "batch", HOP_TRACE_SAMPLE: "1" });
    expect(await follow(undefined, "go?token=in-query")).toBe(302);
    await waitFor("its spans", () => named("GET /:code").length > 0 && named("store clicks").length > 0);
    const sent = collector.bodies.join();
    for (const secret of ["in-query", "in-target", "private", "203.0.113.77", "127.0.0.1"])
      expect(sent).not.toContain(secret);
  });

  test("is followed up to 16 times in one batch, and every redirect has its span", async () => {
    await start({ HOP_CLICKS: "batch", HOP_TRACE_SAMPLE: "1" });
    const statuses = await Promise.all(Array.from({ length: 200 }, () => follow()));
    expect(statuses.every((status) => status === 302)).toBe(true);
    await waitFor("every redirect's span", () => named("GET /:code").length === 200);
    const bySeq = Map.groupBy(named("store clicks"), (span) => span.attributes.get("hop.batch.seq"));
    expect(bySeq.size).toBeGreaterThan(0);
    for (const spans of bySeq.values()) expect(spans.length).toBeLessThanOrEqual(16);
  });
});

for (const [what, arrange] of [
  ["silent", (silenced: TraceCollector) => void (silenced.silent = true)],
  ["gone", (gone: TraceCollector) => gone.close()],
] as const) {
  test(`while the collector is ${what}, redirects are answered, spans wait up to a bound, and the rest are counted`, async () => {
    await start({
      HOP_CLICKS: "batch",
      HOP_TRACE_SAMPLE: "1",
      HOP_TRACE_QUEUE_MAX: "20",
      HOP_TRACE_TIMEOUT_MS: "1000",
    });
    await arrange(collector);
    for (let round = 0; round < 10; round++) {
      const statuses = await Promise.all(Array.from({ length: 20 }, () => follow()));
      expect(statuses.every((status) => status === 302)).toBe(true);
    }
    const dropped = (result: string) => hop.metric(`hop_trace_spans_total{result="${result}"}`);
    expect(await dropped("queue_full")).toBeGreaterThan(100);
    await waitFor("the spans that waited to be given up", async () => (await dropped("export_failed")) > 0);
    expect(await dropped("exported")).toBe(0);
    const startedAtMs = performance.now();
    expect(await hop.kill("SIGTERM")).toBe(0);
    expect(performance.now() - startedAtMs).toBeLessThan(10_000);
  });
}
