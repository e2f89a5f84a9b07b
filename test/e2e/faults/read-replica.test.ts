// P3 and P4 with a read replica that lags: no 404 for a new link, no old target, and redirects whichever of both is gone.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Random } from "../../helpers/fault-test.ts";
import { type HopProcess, startHop } from "../../helpers/hop-process.ts";
import { PostgresPair } from "../../helpers/postgres-pair.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { summarise } from "../../helpers/latencies.ts";
import { TargetWatcher } from "../../helpers/target-watcher.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const APPLY_DELAY_MS = 500;
const P99_MS = 100;
const LOOKUP_TIMEOUT_MS = 2_000;
const FROM_REPLICA = 'hop_lookups_total{source="replica",result="found"}';
const NEEDED = 'hop_lookups_total{source="replica",result="needed"}';
const LAG = "hop_replica_lag_seconds";

/** The cache is so small that nearly every redirect is a lookup; patient, because a busy machine is not what is tested. */
const LOOKING_UP = {
  HOP_CACHE_ENTRIES: "2",
  HOP_REPLICA_TIMEOUT_MS: "500",
  HOP_REPLICA_LAG_MAX_MS: "20000",
};

let pair: PostgresPair;
let env: Record<string, string>;
let hop: HopProcess;

beforeAll(async () => {
  pair = await PostgresPair.start(APPLY_DELAY_MS);
});
afterAll(() => pair.stop());

async function startPairedHop(more: Record<string, string> = {}): Promise<HopProcess> {
  env = {
    HOP_DATABASE_URL: pair.primary.url,
    HOP_DATABASE_READ_URL: pair.replica.url,
    HOP_LOOKUP_TIMEOUT_MS: String(LOOKUP_TIMEOUT_MS),
    HOP_STATEMENT_TIMEOUT_MS: "2000",
    HOP_SHUTDOWN_TIMEOUT_MS: "3000",
    ...more,
  };
  return startHop(env);
}

async function create(code: string): Promise<void> {
  const made = await hop.api("POST", "/api/v1/links", { url: targetOf(code), code });
  expect(made.status).toBe(201);
}

function targetOf(code: string): string {
  return `https://example.com/${code}`;
}

async function follow(code: string): Promise<{ status: number; tookMs: number; location: string | null }> {
  const startedAtMs = performance.now();
  const { status, headers } = await hop.api("GET", `/${code}`);
  return { status, tookMs: performance.now() - startedAtMs, location: headers.get("location") };
}

/** Codes that the replica has too, and that no cache of hop knows. */
async function createElsewhere(prefix: string, count: number): Promise<string[]> {
  const codes = Array.from({ length: count }, (_, number) => `${prefix}-${number}`);
  await pair.primary.sql`
    INSERT INTO links (domain_id, code, target, status, chosen)
    SELECT 1, code, 'https://example.com/' || code, 302, false FROM unnest(${`{${codes.join(",")}}`}::text[]) AS code`;
  await pair.caughtUp();
  return codes;
}

/** "+Inf", which is no number here, when it cannot be told. */
async function isUsed(): Promise<boolean> {
  return (await hop.metric(LAG)) < 20;
}

async function untilUsed(): Promise<void> {
  await waitFor("the replica to be used", isUsed);
}

describe("with a replica half a second behind", () => {
  beforeEach(async () => {
    hop = await startPairedHop(LOOKING_UP);
    await pair.caughtUp();
    await untilUsed();
  });
  afterEach(() => hop.kill("SIGTERM"));

  test("lookups are answered by the replica", async () => {
    const codes = await createElsewhere("settled", 50);
    const before = await hop.metric(FROM_REPLICA);
    for (const code of codes)
      expect(await follow(code)).toMatchObject({ status: 302, location: targetOf(code) });
    expect((await hop.metric(FROM_REPLICA)) - before).toBeGreaterThan(codes.length / 2);
  });

  test("a link is followed at once after its creation, chosen or generated, and never answers 404", async () => {
    const statuses = new Map<number, number>();
    for (let number = 0; number < 100; number++) {
      const body = { url: targetOf("new"), ...(number % 2 === 0 && { code: `new-${number}` }) };
      const made = await hop.api("POST", "/api/v1/links", body);
      expect(made.status).toBe(201);
      const { code } = (await made.json()) as { code: string };
      const { status } = await follow(code);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect([...statuses]).toEqual([[302, 100]]);
  });

  test("an edit is served within 100 ms (p99) by the process that made it and by another, and no old target comes back", async () => {
    const other = await startPairedHop(LOOKING_UP);
    const codes = await createElsewhere("busy", 20);
    await create("edited");
    await pair.caughtUp();
    const load = new RedirectLoad({ codes, connections: 2, random: new Random(1) });
    load.start(other.url);
    const watchers = [hop, other].map(({ url }) => TargetWatcher.watch(url, "edited", 1));
    const samples: number[] = [];
    for (let edit = 1; edit <= 100; edit++) {
      const url = `https://example.com/edited/${edit}`;
      expect((await hop.api("PATCH", "/api/v1/links/edited", { url })).status).toBe(200);
      const answeredAtMs = performance.now();
      for (const watcher of watchers) samples.push(await watcher.staleness(url, answeredAtMs));
    }
    await load.stop();
    for (const watcher of watchers) {
      await watcher.stop();
      expect(watcher.relapses).toEqual([]);
    }
    expect([...load.statuses.keys()]).toEqual([302]);
    expect(await other.metric(FROM_REPLICA)).toBeGreaterThan(100);
    await other.kill("SIGTERM");
    const summary = summarise(samples);
    console.log(`staleness of edits with a replica ${APPLY_DELAY_MS} ms behind: ${summary.text}`);
    expect(summary.p99).toBeLessThan(P99_MS);
  });

  test("an edit that nobody heard of, while the listener was cut off, is served once it listens again", async () => {
    const [code = ""] = await createElsewhere("unheard", 1);
    expect((await follow(code)).status).toBe(302);
    const [before] = await pair.primary.sql<{ pid: number }[]>`
      SELECT pid FROM pg_stat_activity WHERE application_name = 'hop listener'`;
    await pair.primary
      .sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hop listener'`;
    await pair.primary.sql`UPDATE links SET target = 'https://example.com/changed' WHERE code = ${code}`;
    // Another connection than the one that was cut: the metric may still be of that.
    await waitFor("hop to listen again", async () => {
      const [listener] = await pair.primary.sql<{ pid: number }[]>`
        SELECT pid FROM pg_stat_activity
        WHERE application_name = 'hop listener' AND query LIKE 'LISTEN%' AND state = 'idle'`;
      return listener !== undefined && listener.pid !== before?.pid;
    });
    await waitFor("hop to know it", async () => (await hop.metric("hop_invalidation_listening")) === 1);
    // The replica still has the old target for half a second.
    for (let asked = 0; asked < 50; asked++)
      expect(await follow(code)).toMatchObject({ status: 302, location: "https://example.com/changed" });
  });
});

describe("when the replica", () => {
  beforeEach(async () => {
    hop = await startPairedHop();
    await pair.caughtUp();
    await untilUsed();
  });
  afterEach(() => hop.kill("SIGTERM"));

  for (const [what, harm, mend] of [
    ["is killed", () => pair.replica.kill(), () => pair.replica.start()],
    ["is frozen", () => pair.replica.freeze(), () => pair.replica.thaw()],
  ] as const) {
    test(`${what}, lookups go to the primary, and back to the replica when it is there again`, async () => {
      const codes = await createElsewhere(`replica-${what.slice(3)}`, 60);
      await harm();
      try {
        const answers = await Promise.all(codes.slice(0, 20).map(follow));
        expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 302));
        expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(LOOKUP_TIMEOUT_MS);
        expect((await follow("nobody-has-this")).status).toBe(404);
        await waitFor("the lag to be unknown", async () => !(await isUsed()));
        expect((await follow(codes[20] ?? "")).status).toBe(302);
      } finally {
        await mend();
      }
      await untilUsed();
      const before = await hop.metric(FROM_REPLICA);
      for (const code of codes.slice(30)) expect((await follow(code)).status).toBe(302);
      expect((await hop.metric(FROM_REPLICA)) - before).toBeGreaterThan(0);
    });
  }
});

for (const [what, harm, mend] of [
  ["is killed", () => pair.primary.kill(), () => pair.primary.start()],
  ["is frozen", () => pair.primary.freeze(), () => pair.primary.thaw()],
] as const) {
  test(`when the primary ${what}, links that only the replica can tell are served, and unknown codes are 503 and never 404`, async () => {
    hop = await startPairedHop();
    const codes = await createElsewhere(`primary-${what.slice(3)}`, 40);
    await untilUsed();
    await harm();
    try {
      // What waits for a silent primary may be 503; what is known is served from the first failure on.
      await waitFor("a link from the replica", async () => (await follow(codes[0] ?? "")).status === 302);
      const answers = await Promise.all(codes.map(follow));
      expect(answers.map(({ status }) => status)).toEqual(codes.map(() => 302));
      for (let asked = 0; asked < 20; asked++) {
        const { status, tookMs } = await follow(`unknown-${asked}`);
        expect(status).toBe(503);
        expect(tookMs).toBeLessThan(LOOKUP_TIMEOUT_MS + 700);
      }
      expect((await hop.metric(FROM_REPLICA)) + (await hop.metric(NEEDED))).toBeGreaterThanOrEqual(
        codes.length,
      );
    } finally {
      await mend();
    }
    await waitFor(
      "unknown codes to be 404 again",
      async () => (await follow("unknown-later")).status === 404,
    );
    // An edit after the outage is seen: nothing that was kept in need outlives it.
    await pair.primary
      .sql`UPDATE links SET target = 'https://example.com/after' WHERE code = ${codes[0] ?? ""}`;
    await waitFor(
      "the edit",
      async () => (await follow(codes[0] ?? "")).location === "https://example.com/after",
    );
    await hop.kill("SIGTERM");
  });
}
