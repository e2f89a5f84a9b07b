// Rate limits that several processes share through Redis, and what becomes of them while Redis is away.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { ADMIN_KEY } from "../helpers/hop-process.ts";
import {
  type LimitedHop,
  LINKS,
  newAddress,
  startLimitedHop,
  statusesOf,
  TARGET,
  times,
} from "../helpers/limited-hop.ts";
import { startCluster, TestRedis } from "../helpers/redis.ts";
import { waitFor } from "../helpers/wait-for.ts";

const MISSES = 6;
/** What a request may take with a silent Redis: the click's 50 ms, the limit's 100, and a busy machine. */
const PATIENCE_MS = 2_000;

let redis: TestRedis;
let database: TestDatabase;
let hops: LimitedHop[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await startHopsOn("");
  await Promise.all(hops.map((hop) => hop.kill("SIGTERM")));
  await database.sql`INSERT INTO links (code, target) VALUES ('known', ${TARGET})`;
});
beforeEach(async () => {
  redis = await TestRedis.start();
});
afterEach(async () => {
  await Promise.all(hops.map((hop) => hop.kill("SIGKILL")));
  await redis.stop();
});
afterAll(() => database.drop());

/** Two processes over one database and one Redis, both connected. */
async function startHopsOn(
  redisUrl: string,
  env: Record<string, string> = {},
): Promise<[LimitedHop, LimitedHop]> {
  const start = () =>
    startLimitedHop({
      HOP_DATABASE_URL: database.url,
      HOP_REDIS_URL: redisUrl,
      HOP_LIMIT_ADDRESS_MISSES: String(MISSES),
      ...env,
    });
  const pair: [LimitedHop, LimitedHop] = [await start(), await start()];
  hops = pair;
  if (redisUrl !== "") await Promise.all(pair.map((hop) => waitFor("Redis to be up", () => isUp(hop))));
  return pair;
}

async function isUp(hop: LimitedHop): Promise<boolean> {
  const { dependencies } = (await (await fetch(`${hop.adminUrl}/readyz`)).json()) as {
    dependencies: Record<string, string>;
  };
  return dependencies["redis"] === "up";
}

const fallbacks = (hop: LimitedHop) => hop.metric("hop_rate_limit_fallbacks_total");

test("two processes count together, each in turn", async () => {
  const [first, second] = await startHopsOn(redis.url);
  const scanner = newAddress();
  const statuses = await statusesOf(MISSES * 2, (index) =>
    (index % 2 === 0 ? first : second).from(scanner, `/nothing-${index}`),
  );
  expect(statuses).toEqual([...times(MISSES, 404), ...times(MISSES, 429)]);
  expect(await statusesOf(20, (index) => (index % 2 === 0 ? first : second).from(scanner, "/known"))).toEqual(
    times(20, 302),
  );
  expect((await second.from(newAddress(), "/nothing")).status).toBe(404);
  expect([await fallbacks(first), await fallbacks(second)]).toEqual([0, 0]);
});

test("in a cluster too", async () => {
  const cluster = await startCluster();
  try {
    const [first, second] = await startHopsOn(cluster.url);
    for (const scanner of Array.from({ length: 6 }, newAddress)) {
      const statuses = await statusesOf(MISSES + 1, (index) =>
        (index % 2 === 0 ? first : second).from(scanner, `/nothing-${index}`),
      );
      expect(statuses).toEqual([...times(MISSES, 404), 429]);
    }
    expect([await fallbacks(first), await fallbacks(second)]).toEqual([0, 0]);
  } finally {
    await Promise.all(hops.map((hop) => hop.kill("SIGKILL")));
    await cluster.stop();
  }
});

test("Redis holds no address, not even as a hash that can be found by trying all of them, and forgets within the minute", async () => {
  const [hop] = await startHopsOn(redis.url);
  const address = newAddress();
  await hop.from(address, "/nothing");
  await hop.from(address, LINKS);
  await hop.from(address, LINKS, {
    method: "POST",
    headers: { Authorization: `Bearer ${ADMIN_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ url: TARGET }),
  });
  const keys = await redis.client.keys("hop:limit:*");
  const names = new Set(keys.map((key) => key.split(":")[2]));
  expect(names).toEqual(new Set(["address_failures", "address_misses", "address_writes", "key_writes"]));
  const plain = ["sha256", "sha1", "md5"].flatMap((algorithm) => {
    const digest = new Bun.CryptoHasher(algorithm as "sha256").update(address).digest();
    return [digest.toString("hex"), digest.toString("base64url")].map((text) => text.slice(0, 22));
  });
  for (const key of keys) {
    expect(await redis.client.pttl(key)).toBeWithin(1, 60_001);
    for (const text of [address, ...plain]) expect(key).not.toContain(text);
  }
});

for (const outage of ["killed", "silent"] as const) {
  test(`while Redis is ${outage} each process limits alone and in time, no request fails, and known links redirect`, async () => {
    const [first, second] = await startHopsOn(redis.url);
    expect((await first.from(newAddress(), "/known")).status).toBe(302);
    if (outage === "killed") await redis.kill();
    else redis.pause();
    const scanner = newAddress();
    for (const hop of [first, second]) {
      const startedAtMs = performance.now();
      const statuses = await statusesOf(MISSES + 2, (index) => hop.from(scanner, `/nothing-${index}`));
      expect(statuses).toEqual([...times(MISSES, 404), 429, 429]);
      // One wait for Redis at most every second, not one a request.
      expect(performance.now() - startedAtMs).toBeLessThan(PATIENCE_MS);
      expect(await fallbacks(hop)).toBeGreaterThanOrEqual(MISSES);
    }
    expect(await statusesOf(20, () => first.from(scanner, "/known"))).toEqual(times(20, 302));
    const ready = await fetch(`${first.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({
      status: "degraded",
      draining: false,
      dependencies: { postgres: "up", redis: "down" },
    });
    if (outage === "killed") await redis.start();
    else redis.resume();
    await Promise.all([first, second].map((hop) => waitFor("Redis to be up", () => isUp(hop))));
    const shared = async () => {
      const client = newAddress();
      const statuses = await statusesOf(MISSES + 1, (index) =>
        (index % 2 === 0 ? first : second).from(client, `/nothing-${index}`),
      );
      return statuses.at(-1) === 429;
    };
    await waitFor("limits to be shared again", shared);
  });
}

test("a hop that starts without its Redis limits alone and is ready, degraded", async () => {
  await redis.kill();
  const hop = await startLimitedHop({
    HOP_DATABASE_URL: database.url,
    HOP_REDIS_URL: redis.url,
    HOP_LIMIT_ADDRESS_MISSES: "2",
  });
  hops = [hop];
  const scanner = newAddress();
  expect(await statusesOf(4, (index) => hop.from(scanner, `/nothing-${index}`))).toEqual([
    404, 404, 429, 429,
  ]);
  expect(await statusesOf(5, () => hop.from(scanner, "/known"))).toEqual(times(5, 302));
  expect(await (await fetch(`${hop.adminUrl}/readyz`)).json()).toMatchObject({ status: "degraded" });
});
