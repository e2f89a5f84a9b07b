// P3 without the invalidation channel: staleness is bounded by the cache's time to live, and a metric says so.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { Random } from "../../helpers/fault-test.ts";
import { type HopProcess, startHop } from "../../helpers/hop-process.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { summarise } from "../../helpers/latencies.ts";
import { TargetWatcher } from "../../helpers/target-watcher.ts";
import type { TcpProxy } from "../../helpers/tcp-proxy.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const TTL_MS = 500;
/** A lookup, and a busy machine. */
const MARGIN_MS = 200;
const LISTENING = "hop_invalidation_listening";

let database: TestDatabase;
let editor: HopProcess;
let deaf: HopProcess;
/** The way of `deaf` to the database. */
let door: TcpProxy;
let listenerPid: number;

beforeAll(async () => {
  database = await createTestDatabase();
  editor = await startHop({ HOP_DATABASE_URL: database.url });
  const others = await listenerPids();
  const { proxy, url } = await database.openProxy();
  door = proxy;
  const ttl = { HOP_CACHE_TTL_MS: String(TTL_MS), HOP_UNKNOWN_TTL_MS: String(TTL_MS) };
  deaf = await startHop({ HOP_DATABASE_URL: url, ...ttl });
  listenerPid = (await listenerPids()).find((pid) => !others.includes(pid)) ?? 0;
});
afterAll(async () => {
  await Promise.all([editor.kill("SIGTERM"), deaf.kill("SIGTERM")]);
  await database.drop();
});

test("while its listener is cut off a process serves an edit after HOP_CACHE_TTL_MS at the latest, and says that it does not listen", async () => {
  await create("muted");
  await create("noise");
  const load = new RedirectLoad({ codes: ["noise"], connections: 4, random: new Random(1) });
  load.start(deaf.url);
  const watcher = TargetWatcher.watch(deaf.url, "muted");
  await watcher.staleness(targetOf("muted"), performance.now());
  // Lookups and clicks have their connections by now; only new ones are refused.
  await waitFor("both connections of redirects", async () => {
    const rows = await database.sql`
      SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'hop redirects'`;
    return rows.length >= 2;
  });
  expect(await deaf.metric(LISTENING)).toBe(1);
  const heard = await edit(watcher, "heard", 20);
  expect(summarise(heard).max).toBeLessThan(TTL_MS / 2);

  door.setMode("refuse");
  await database.sql`SELECT pg_terminate_backend(${listenerPid})`;
  await waitFor("the metric to say 0", async () => (await deaf.metric(LISTENING)) === 0);
  const deafened = summarise(await edit(watcher, "deaf", 20));
  expect(await deaf.metric(LISTENING)).toBe(0);
  expect(await deaf.metric('hop_cache_requests_total{result="stale",tier="memory"}')).toBe(0);
  expect(deafened.max).toBeLessThan(TTL_MS + MARGIN_MS);

  // Changed while nobody listens: coming back must not take the rest of the time to live.
  door.setMode("pass");
  await waitFor("the metric to say 1", async () => (await deaf.metric(LISTENING)) === 1);
  const again = summarise(await edit(watcher, "again", 20));
  expect(again.max).toBeLessThan(TTL_MS / 2);
  await watcher.stop();
  await load.stop();
  expect(watcher.relapses).toEqual([]);
  console.log(
    `staleness with HOP_CACHE_TTL_MS=${TTL_MS}: listening ${summarise(heard).text}; cut off ${deafened.text}; listening again ${again.text}`,
  );
});

async function edit(watcher: TargetWatcher, name: string, times: number): Promise<number[]> {
  const samples: number[] = [];
  for (let number = 1; number <= times; number++) {
    const url = `https://example.com/${name}/${number}`;
    const { status } = await editor.api("PATCH", "/api/v1/links/muted", { url });
    const answeredAtMs = performance.now();
    expect(status).toBe(200);
    samples.push(await watcher.staleness(url, answeredAtMs));
  }
  return samples;
}

async function create(code: string): Promise<void> {
  const made = await editor.api("POST", "/api/v1/links", { url: targetOf(code), code });
  expect(made.status).toBe(201);
}

function targetOf(code: string): string {
  return `https://example.com/${code}`;
}

async function listenerPids(): Promise<readonly number[]> {
  const rows = await database.sql<{ pid: number }[]>`
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'hop listener'`;
  return rows.map(({ pid }) => pid);
}
