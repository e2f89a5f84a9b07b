// What docs/operations.md says of backups: copied in the order in which clicks travel, everything comes back and counts once.
import { expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../src/storage/embedded/bounded.ts";
import { streamKey } from "../../src/storage/redis/stream-entries.ts";
import { readLedger } from "../helpers/click-audit.ts";
import { Random } from "../helpers/fault-test.ts";
import { openFleet, temporaryDirectory, type Fleet } from "../helpers/operator-stack.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";
import { findRedisServer } from "../helpers/redis-binary.ts";
import { RedirectLoad } from "../helpers/redirect-load.ts";
import type { TestRedis } from "../helpers/redis.ts";
import { waitFor } from "../helpers/wait-for.ts";

const CODES = ["spring", "summer", "autumn"];
const COPY_MS = 30_000;

interface Copies {
  readonly spool: string;
  readonly redis: string;
  readonly dump: string;
}

/** Of each code: what its visitors were answered before the first copy was made, and what they asked for in all. */
type Books = ReadonlyMap<string, { readonly received: number; readonly sent: number }>;

test("a fleet that was copied while links were followed (spools, then Redis, then Postgres) comes back whole, and what is in two copies counts once", async () => {
  await using opened = new AsyncDisposableStack();
  const place = temporaryDirectory(opened);
  const copies = {
    spool: join(place, "spool"),
    redis: join(place, "redis.rdb"),
    dump: join(place, "hop.dump"),
  };
  const books = await copyWhileFollowed(copies);

  await using restored = await openFleet({
    redis: { snapshot: copies.redis },
    prepare: async ({ postgres, redis, dataDir }) => {
      await redis.client.config("SET", "appendonly", "yes");
      await postgres.restore(copies.dump);
      cpSync(copies.spool, join(dataDir, "spool"), { recursive: true });
    },
  });
  const { hop, worker, redis, sql } = restored;
  await waitFor("the spool to be delivered", async () => (await hop.metric("hop_spool_bytes")) === 0);
  await waitFor("the stream to be stored", async () => (await redis.client.xlen(streamKey(0))) === 0);
  // What is stored reaches the totals in sets, and a reader does not wait for a set that another process is at.
  await waitFor("the totals", async () => (await sql`SELECT FROM click_queue LIMIT 1`).length === 0);
  for (const [code, { received, sent }] of books) {
    const total = await clicksOf(hop, code);
    expect([code, total >= received, total <= sent]).toEqual([code, true, true]);
    const answer = await hop.api("GET", `/${code}`);
    expect([answer.status, answer.headers.get("Location")]).toEqual([302, `https://example.com/${code}`]);
    await waitFor(`the new click of ${code}`, async () => (await clicksOf(hop, code)) === total + 1);
  }
  // The same batch came out of two copies, and was known.
  expect(await worker.metric('hop_clicks_total{stage="duplicate"}')).toBeGreaterThan(0);
  expect(await readLedger(restored.env)).toMatchObject({ exitCode: 0, verdict: "balanced", reasons: [] });
}, 120_000);

/** Puts clicks into every place where they can be, copies the places one after the other, and throws everything away. */
async function copyWhileFollowed(copies: Copies): Promise<Books> {
  await using fleet = await openFleet({ redis: { fsync: "everysec" } });
  const { hop, worker, redis, postgres, dataDir } = fleet;
  for (const code of CODES) {
    const made = await hop.api("POST", "/api/v1/links", { url: `https://example.com/${code}`, code });
    expect(made.status).toBe(201);
  }
  const load = new RedirectLoad({ codes: CODES, connections: 4, random: new Random(7) });
  const receive = async (more: number) => {
    const enough = load.received + more;
    await waitFor(`${more} redirects`, () => load.received >= enough);
  };
  load.start(hop.url);
  try {
    await receive(300);
    process.kill(worker.pid, "SIGSTOP");
    await receive(100);
    redis.pause();
    await waitFor("the spool to be used", async () => (await hop.metric("hop_spool_bytes")) > 0);
    await receive(100);
    const before = new Map([...load.tallies].map(([code, { received }]) => [code, received]));
    cpSync(join(dataDir, "spool"), copies.spool, { recursive: true });
    redis.resume();
    await waitFor("the spool to be delivered", async () => (await hop.metric("hop_spool_bytes")) === 0);
    await copyRedis(redis, copies.redis);
    const stored = await countBatches(fleet);
    process.kill(worker.pid, "SIGCONT");
    await waitFor("the worker to go on", async () => (await countBatches(fleet)) > stored + 20);
    await postgres.dump(copies.dump);
    await receive(100);
    await load.stop();
    expect(load.hung).toBe(0);
    return new Map(
      [...load.tallies].map(([code, { sent }]) => [code, { received: before.get(code) ?? 0, sent }]),
    );
  } finally {
    await load.stop();
  }
}

/** As an operator does it, from afar and while it is written to. */
async function copyRedis(redis: TestRedis, file: string): Promise<void> {
  const client = findRedisServer()?.replace(/-server$/, "-cli") ?? "";
  const options = { account: undefined, timeoutMs: COPY_MS };
  const { code, output } = await run(client, ["-p", String(redis.port), "--rdb", file], options);
  expect([code, output]).toEqual([0, output]);
}

async function countBatches({ sql }: Fleet): Promise<number> {
  const [row] = await sql<{ count: number }[]>`SELECT count(*) AS count FROM click_batches`;
  return row?.count ?? 0;
}

async function clicksOf(hop: HopProcess, code: string): Promise<number> {
  const answer = await hop.api("GET", `/api/v1/links/${code}/stats`);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { total: number }).total;
}

test("a data directory with its embedded Postgres, copied while hop is stopped, is the same hop elsewhere", async () => {
  await using opened = new AsyncDisposableStack();
  const place = temporaryDirectory(opened);
  // Open to the user that Postgres runs as under root, or the data would be kept elsewhere.
  chmodSync(place, 0o711);
  const [original, copy] = [join(place, "original"), join(place, "copy")];
  mkdirSync(original, { mode: 0o711 });
  const env = { HOP_DATABASE_URL: "", HOP_DATA_DIR: original };
  const first = await startHop(env);
  opened.defer(() => first.kill("SIGTERM").then(() => undefined));
  await first.api("POST", "/api/v1/links", { url: "https://example.com/", code: "kept" });
  for (let count = 0; count < 10; count++) expect((await first.api("GET", "/kept")).status).toBe(302);
  expect(await first.kill("SIGTERM")).toBe(0);

  const { code } = await run("cp", ["-a", original, copy], { account: undefined, timeoutMs: COPY_MS });
  expect(code).toBe(0);
  expect(statSync(join(copy, "postgres", "data")).isDirectory()).toBe(true);
  const second = await startHop({ ...env, HOP_DATA_DIR: copy });
  opened.defer(() => second.kill("SIGTERM").then(() => undefined));
  expect((await second.api("GET", "/kept")).headers.get("Location")).toBe("https://example.com/");
  expect(await clicksOf(second, "kept")).toBe(11);
  expect(await second.kill("SIGTERM")).toBe(0);
  expect(await readLedger({ ...env, HOP_DATA_DIR: copy })).toMatchObject({ exitCode: 0 });
}, 60_000);
