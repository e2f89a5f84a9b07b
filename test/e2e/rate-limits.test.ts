// Rate limits over real HTTP: who is refused, who never is, and what the refusal says.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readProblem } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { ADMIN_KEY, runHop, startHop } from "../helpers/hop-process.ts";
import {
  type LimitedHop,
  LINKS,
  newAddress,
  startLimitedHop,
  statusesOf,
  TARGET,
  times,
} from "../helpers/limited-hop.ts";

const MISSES = 5;
const FAILURES = 4;
const ADDRESS_WRITES = 8;
const KEY_WRITES = 12;

let database: TestDatabase;
let hop: LimitedHop;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startLimitedHop({
    HOP_DATABASE_URL: database.url,
    HOP_LIMIT_KEY_WRITES: String(KEY_WRITES),
    HOP_LIMIT_ADDRESS_WRITES: String(ADDRESS_WRITES),
    HOP_LIMIT_ADDRESS_FAILURES: String(FAILURES),
    HOP_LIMIT_ADDRESS_MISSES: String(MISSES),
  });
  await makeLink("known");
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

/** Straight in Postgres: it uses up no limit, and no cache has seen it. */
async function makeLink(code: string): Promise<void> {
  await database.sql`INSERT INTO links (code, target) VALUES (${code}, ${TARGET})`;
}

async function makeKey(): Promise<string> {
  const { output } = await runHop(["keys", "create", "--name", "limited", "--scopes", "admin"], {
    HOP_DATABASE_URL: database.url,
  });
  return /^hop_[\w-]{43}$/m.exec(output)?.[0] ?? "";
}

const miss = (client: string, path: string) => hop.from(client, path);
const limited = (name: string) => hop.metric(`hop_rate_limited_total{limit="${name}"}`);

const create = (client: string, key = ADMIN_KEY) =>
  hop.from(client, LINKS, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ url: TARGET }),
  });

const attempt = (client: string, key: string) =>
  hop.from(client, LINKS, { headers: { Authorization: `Bearer ${key}` } });
const wrongKey = (index: number) => `hop_${String(index).padStart(43, "x")}`;

const countLinks = async () => (await database.sql`SELECT count(*)::int AS links FROM links`)[0]?.["links"];

describe("an address that asks for codes nobody has", () => {
  test("gets 404 up to the limit, then 429 with the time to wait, as a problem or as a page", async () => {
    const scanner = newAddress();
    const before = await limited("address_misses");
    const statuses = await statusesOf(MISSES + 2, (index) => miss(scanner, `/nothing-${index}`));
    expect(statuses).toEqual([...times(MISSES, 404), 429, 429]);
    const answer = await miss(scanner, "/nothing-again");
    const seconds = Number(answer.headers.get("retry-after"));
    expect(seconds).toBeWithin(1, 61);
    expect(answer.headers.get("ratelimit-policy")).toBe(`"address_misses";q=${MISSES};w=60`);
    expect(answer.headers.get("ratelimit")).toBe(`"address_misses";r=0;t=${seconds}`);
    const problem = await readProblem(answer, 429, "RATE_LIMITED");
    expect(problem.detail).toBe(`Too many requests; try again in ${seconds} s.`);
    const page = await hop.from(scanner, "/nothing-more", { headers: { Accept: "text/html" } });
    expect(page.status).toBe(429);
    expect(page.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(page.headers.get("content-type")).toStartWith("text/html");
    expect(await page.text()).toContain("Too many wrong addresses");
    expect((await limited("address_misses")) - before).toBe(4);
    expect(await hop.metric('hop_redirects_total{outcome="rate_limited"}')).toBeGreaterThanOrEqual(4);
  });

  test("gets every link that exists all the same, cached or not, and is refused nothing but misses", async () => {
    const scanner = newAddress();
    await statusesOf(MISSES, (index) => miss(scanner, `/nothing-${index}`));
    expect((await miss(scanner, "/nothing-else")).status).toBe(429);
    expect(await statusesOf(50, () => miss(scanner, "/known"))).toEqual(times(50, 302));
    for (let number = 0; number < 20; number++) {
      await makeLink(`fresh-${number}`);
      const answer = await miss(scanner, `/fresh-${number}`);
      expect(answer.status).toBe(302);
      expect(answer.headers.get("location")).toBe(TARGET);
      expect(answer.headers.has("ratelimit")).toBe(false);
    }
    expect((await miss(scanner, "/known+")).status).toBe(200);
    expect((await create(scanner)).status).toBe(201);
    for (const path of ["/livez", "/readyz", "/", "/api/docs"]) {
      expect(await statusesOf(MISSES * 2, () => miss(scanner, path))).toEqual(times(MISSES * 2, 200));
    }
    expect((await miss(scanner, "/nothing-else")).status).toBe(429);
  });

  test("is counted for previews and HEAD as well", async () => {
    const scanner = newAddress();
    expect(await statusesOf(MISSES, (index) => miss(scanner, `/nothing-${index}+`))).toEqual(
      times(MISSES, 404),
    );
    expect((await miss(scanner, "/nothing+")).status).toBe(429);
    expect((await hop.from(scanner, "/nothing", { method: "HEAD" })).status).toBe(429);
  });

  test("does not use up what others have, unless they are of the same /64", async () => {
    const network = "2001:db8:5:6";
    await statusesOf(MISSES, (index) => miss(`${network}::${index + 1}`, `/nothing-${index}`));
    expect((await miss(`${network}:ffff:1:2:3`, "/nothing")).status).toBe(429);
    expect((await miss("2001:db8:5:7::1", "/nothing")).status).toBe(404);
    expect((await miss(newAddress(), "/nothing")).status).toBe(404);
  });

  test("does not get away by writing X-Forwarded-For itself", async () => {
    const scanner = newAddress();
    // The proxy appends whom it was called from.
    const spoof = (index: number) => hop.from(`192.0.2.${index}, ${scanner}`, `/nothing-${index}`);
    expect(await statusesOf(MISSES + 1, spoof)).toEqual([...times(MISSES, 404), 429]);
  });
});

test("whatever is asked in whatever order, an address is refused exactly its misses above the limit", async () => {
  const requests = fc.array(
    fc.record({
      client: fc.nat(2),
      path: fc.constantFrom("known", "known+", "nothing", "nothing+", "x.y", "a/b"),
    }),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(requests, async (requests) => {
      const clients = [newAddress(), newAddress(), newAddress()];
      const misses = [0, 0, 0];
      for (const { client, path } of requests) {
        const { status } = await miss(clients[client] ?? "", `/${path}`);
        if (path === "known") expect(status).toBe(302);
        else if (path === "known+") expect(status).toBe(200);
        else if (!path.startsWith("nothing")) expect(status).toBe(404);
        else {
          misses[client] = (misses[client] ?? 0) + 1;
          expect(status).toBe((misses[client] ?? 0) <= MISSES ? 404 : 429);
        }
      }
    }),
    { numRuns: 25 },
  );
});

describe("an address without a valid key", () => {
  test("gets 401 up to the limit, then 429; a good key is accepted all the same", async () => {
    const client = newAddress();
    const statuses = await statusesOf(FAILURES + 2, (index) => attempt(client, wrongKey(index)));
    expect(statuses).toEqual([...times(FAILURES, 401), 429, 429]);
    const refused = await attempt(client, wrongKey(99));
    expect(refused.headers.get("ratelimit-policy")).toBe(`"address_failures";q=${FAILURES};w=60`);
    await readProblem(refused, 429, "RATE_LIMITED");
    await readProblem(hop.from(client, LINKS), 429, "RATE_LIMITED");
    expect((await attempt(client, ADMIN_KEY)).status).toBe(200);
    expect((await attempt(newAddress(), wrongKey(99))).status).toBe(401);
    expect(await limited("address_failures")).toBe(4);
  });

  test("does not use up what writes with a good key have", async () => {
    const client = newAddress();
    await statusesOf(FAILURES + 5, (index) => attempt(client, wrongKey(index)));
    const created = await create(client, await makeKey());
    expect(created.status).toBe(201);
    expect(created.headers.get("ratelimit")).toMatch(
      new RegExp(`"address_writes";r=${ADDRESS_WRITES - 1};t=60`),
    );
  });
});

describe("writes", () => {
  test("of one key are limited wherever they come from, and reads are not", async () => {
    const key = await makeKey();
    const created = await create(newAddress(), key);
    expect(created.status).toBe(201);
    expect(created.headers.get("ratelimit-policy")).toBe(
      `"key_writes";q=${KEY_WRITES};w=60, "address_writes";q=${ADDRESS_WRITES};w=60`,
    );
    const { code } = (await created.json()) as { code: string };
    const authorised = { Authorization: `Bearer ${key}` };
    const change = (method: string) =>
      hop.from(newAddress(), `${LINKS}/${code}`, {
        method,
        headers: { ...authorised, "Content-Type": "application/json" },
        ...(method === "PATCH" && { body: '{"title":"x"}' }),
      });
    expect(await statusesOf(KEY_WRITES - 2, () => change("PATCH"))).toEqual(times(KEY_WRITES - 2, 200));
    expect((await change("DELETE")).status).toBe(204);
    for (const method of ["DELETE", "PATCH"]) await readProblem(change(method), 429, "RATE_LIMITED");
    const refused = await create(newAddress(), key);
    expect(refused.headers.get("ratelimit")).toMatch(/^"key_writes";r=0;t=\d+, "address_writes";r=7;t=60$/);
    await readProblem(refused, 429, "RATE_LIMITED");
    const reads = await statusesOf(30, () => hop.from(newAddress(), LINKS, { headers: authorised }));
    expect(reads).toEqual(times(30, 200));
    expect((await create(newAddress(), await makeKey())).status).toBe(201);
  });

  test("of one address are limited whatever keys it uses, also when they fail for another reason", async () => {
    const client = newAddress();
    const [first, second] = [await makeKey(), await makeKey()];
    const invalid = await hop.from(client, LINKS, {
      method: "POST",
      headers: { Authorization: `Bearer ${first}`, "Content-Type": "application/json" },
      body: "{",
    });
    expect(invalid.status).toBe(400);
    expect(invalid.headers.get("ratelimit")).toContain(`"address_writes";r=${ADDRESS_WRITES - 1};t=60`);
    const keys = [first, second];
    const statuses = await statusesOf(ADDRESS_WRITES, (index) => create(client, keys[index % 2]));
    expect(statuses).toEqual([...times(ADDRESS_WRITES - 1, 201), 429]);
    expect((await create(newAddress(), second)).status).toBe(201);
  });

  test("that are refused make nothing", async () => {
    const client = newAddress();
    const key = await makeKey();
    await statusesOf(ADDRESS_WRITES, () => create(client, key));
    const before = await countLinks();
    expect(await statusesOf(5, () => create(client, key))).toEqual(times(5, 429));
    expect(await countLinks()).toBe(before);
  });
});

describe("a hop that trusts no proxy", () => {
  test("counts the peer, whatever X-Forwarded-For says; and 0 is no limit", async () => {
    const direct = await startHop({
      HOP_DATABASE_URL: database.url,
      HOP_LIMIT_ADDRESS_MISSES: "3",
      HOP_LIMIT_ADDRESS_FAILURES: "0",
      HOP_LIMIT_KEY_WRITES: "0",
      HOP_LIMIT_ADDRESS_WRITES: "0",
    });
    const ask = (index: number, path: string) =>
      fetch(`${direct.url}${path}`, {
        headers: { "X-Forwarded-For": `192.0.2.${index}`, Forwarded: "for=192.0.2.1" },
      });
    expect(await statusesOf(5, (index) => ask(index, `/nothing-${index}`))).toEqual([
      404, 404, 404, 429, 429,
    ]);
    expect(await statusesOf(50, (index) => ask(index, LINKS))).toEqual(times(50, 401));
    const created = await direct.api("POST", LINKS, { url: TARGET });
    expect(created.status).toBe(201);
    expect(created.headers.has("ratelimit")).toBe(false);
    expect(await direct.kill("SIGTERM")).toBe(0);
  });
});
