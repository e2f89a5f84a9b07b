// Statistics of a link as its owner reads them, and what hop keeps of its visitors.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type LinkAnswer, read, type StatsAnswer } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, NO_HURRY, startHop } from "../helpers/hop-process.ts";

const LINKS = "/api/v1/links";
const HOUR_MS = 3_600_000;
const CHROME =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";
const GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const US = "8.8.8.8";
const DE = "194.25.0.60";

let database: TestDatabase;
let hop: HopProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({
    HOP_DATABASE_URL: database.url,
    HOP_TRUSTED_PROXIES: "127.0.0.1/32",
    HOP_LOG_LEVEL: "trace",
    ...NO_HURRY,
  });
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

interface Visitor {
  readonly ip: string;
  readonly agent: string;
  readonly referrer?: string;
  readonly language?: string;
}

async function create(): Promise<string> {
  const made = hop.api("POST", LINKS, { url: "https://example.com/measured" });
  return (await read<LinkAnswer>(made, 201)).code;
}

async function visit(code: string, { ip, agent, referrer, language }: Visitor, times = 1): Promise<void> {
  for (let time = 0; time < times; time++) {
    const answer = await fetch(`${hop.url}/${code}`, {
      redirect: "manual",
      headers: {
        "X-Forwarded-For": ip,
        "User-Agent": agent,
        ...(referrer !== undefined && { Referer: referrer }),
        ...(language !== undefined && { "Accept-Language": language }),
      },
    });
    expect(answer.status).toBe(302);
  }
}

const statsOf = (code: string, query: Record<string, string> = {}) =>
  read<StatsAnswer>(hop.api("GET", `${LINKS}/${code}/stats?${new URLSearchParams(query).toString()}`), 200);

const topOf = async (code: string, by: string, query: Record<string, string> = {}) =>
  Object.fromEntries((await statsOf(code, { by, ...query })).top.map(({ value, clicks }) => [value, clicks]));

describe("a series", () => {
  test.each([
    ["hour", 48, HOUR_MS],
    ["day", 30, 24 * HOUR_MS],
  ] as const)("by %s of a link without clicks is %d zeros up to now", async (interval, buckets, lengthMs) => {
    const stats = await statsOf(await create(), { interval });
    expect(stats).toMatchObject({ total: 0, unique: 0, top: [] });
    expect(stats.series).toHaveLength(buckets);
    const starts = stats.series.map((bucket) => Date.parse(bucket.start));
    for (const [index, start] of starts.entries()) {
      expect(start % lengthMs).toBe(0);
      expect(start).toBe((starts[0] ?? 0) + index * lengthMs);
    }
    for (const bucket of stats.series) expect(bucket).toMatchObject({ clicks: 0, unique: 0 });
    expect(starts.at(-1)).toBeLessThanOrEqual(Date.now());
    expect((starts.at(-1) ?? 0) + lengthMs).toBeGreaterThan(Date.parse(stats.asOf) - HOUR_MS);
  });

  test("by month begins with the first of each of twelve months", async () => {
    const { series } = await statsOf(await create(), { interval: "month" });
    expect(series).toHaveLength(12);
    for (const { start } of series) expect(start).toMatch(/^\d{4}-\d\d-01T00:00:00\.000Z$/);
    expect(new Set(series.map(({ start }) => start)).size).toBe(12);
  });

  test("of a range has every bucket that the range touches, and no other", async () => {
    const from = "2024-02-28T13:00:00Z";
    const { series } = await statsOf(await create(), { from, to: "2024-03-01T00:00:01Z", interval: "day" });
    expect(series.map(({ start }) => start.slice(0, 10))).toEqual(["2024-02-28", "2024-02-29", "2024-03-01"]);
  });

  test("of a range that ends with a bucket does not have the next", async () => {
    const range = { from: "2024-01-01T00:00:00+01:00", to: "2024-01-02T00:00:00Z" };
    const { series } = await statsOf(await create(), { ...range, interval: "day" });
    expect(series.map(({ start }) => start.slice(0, 10))).toEqual(["2023-12-31", "2024-01-01"]);
  });

  test("adds up to the total, and its clicks are in the newest buckets", async () => {
    const code = await create();
    await visit(code, { ip: US, agent: CHROME }, 5);
    for (const interval of ["hour", "day", "month"]) {
      const stats = await statsOf(code, { interval });
      expect(stats.total).toBe(5);
      expect(stats.series.slice(-2).reduce((sum, bucket) => sum + bucket.clicks, 0)).toBe(5);
      expect(Math.abs(Date.parse(stats.asOf) - Date.now())).toBeLessThan(60_000);
    }
  });

  test("has only the clicks of its range", async () => {
    const code = await create();
    await visit(code, { ip: US, agent: CHROME });
    const stats = await statsOf(code, { from: "2024-01-01T00:00:00Z", to: "2024-01-08T00:00:00Z" });
    expect(stats).toMatchObject({ total: 0, unique: 0, top: [] });
  });

  test("has the clicks of its link alone", async () => {
    const [one, other] = [await create(), await create()];
    await visit(one, { ip: US, agent: CHROME }, 2);
    await visit(other, { ip: US, agent: CHROME }, 3);
    expect((await statsOf(one)).total).toBe(2);
    expect((await statsOf(other)).total).toBe(3);
  });
});

describe("unique visitors", () => {
  test.each([
    [
      "one address with one browser is one",
      [
        [US, CHROME],
        [US, CHROME],
        [US, CHROME],
      ],
      1,
    ],
    [
      "one address with two browsers is two",
      [
        [US, CHROME],
        [US, FIREFOX],
        [US, CHROME],
      ],
      2,
    ],
    [
      "two addresses with one browser are two",
      [
        [US, CHROME],
        [DE, CHROME],
      ],
      2,
    ],
    [
      "an IPv4 address in IPv6 form is the same",
      [
        [US, CHROME],
        [`::ffff:${US}`, CHROME],
      ],
      1,
    ],
    [
      "an address with a port is the same",
      [
        [US, CHROME],
        [`${US}:443`, CHROME],
      ],
      1,
    ],
  ] as const)("%s", async (_name, visits, unique) => {
    const code = await create();
    for (const [ip, agent] of visits) await visit(code, { ip, agent });
    const stats = await statsOf(code);
    expect(stats).toMatchObject({ total: visits.length, unique });
    expect(stats.series.at(-1)?.unique).toBe(unique);
  });

  test("are told apart by what a trusted proxy says, not by what a visitor says", async () => {
    const code = await create();
    for (const claimed of ["1.1.1.1", "9.9.9.9", "garbage"]) {
      await visit(code, { ip: `${claimed}, ${US}`, agent: CHROME });
    }
    expect(await statsOf(code)).toMatchObject({ total: 3, unique: 1 });
  });
});

describe("top values", () => {
  let code: string;
  beforeAll(async () => {
    code = await create();
    const news = "https://News.Example.com/article?token=secret-token";
    await visit(code, { ip: US, agent: CHROME, referrer: news, language: "en-US,en;q=0.9" }, 3);
    await visit(
      code,
      { ip: DE, agent: IPHONE, referrer: "android-app://com.example.app/", language: "de-DE" },
      2,
    );
    await visit(code, { ip: "10.0.0.7", agent: FIREFOX });
    await visit(code, { ip: US, agent: GOOGLEBOT }, 4);
  });

  test.each([
    ["country", { US: 3, DE: 2, ZZ: 1 }],
    ["referrer", { "news.example.com": 3, "com.example.app": 2, "": 1 }],
    ["browser", { Chrome: 3, Safari: 2, Firefox: 1 }],
    ["os", { Windows: 3, iOS: 2, Linux: 1 }],
    ["device", { desktop: 4, mobile: 2 }],
    ["language", { en: 3, de: 2, "": 1 }],
  ])("by %s count people's clicks", async (by, expected) => {
    expect(await topOf(code, by, { bots: "exclude" })).toEqual(expected);
  });

  test("come with the most clicked first", async () => {
    const { top } = await statsOf(code, { by: "browser", bots: "exclude" });
    expect(top.map(({ value }) => value)).toEqual(["Chrome", "Safari", "Firefox"]);
  });

  test("are countries unless asked otherwise, and bots count unless excluded", async () => {
    expect((await statsOf(code)).top).toEqual([
      { value: "US", clicks: 7 },
      { value: "DE", clicks: 2 },
      { value: "ZZ", clicks: 1 },
    ]);
  });

  test.each([
    ["include", 10, 4],
    ["exclude", 6, 3],
    ["only", 4, 1],
  ])("with bots=%s are of %d clicks by %d visitors", async (bots, total, unique) => {
    const stats = await statsOf(code, { bots, by: "device" });
    expect(stats).toMatchObject({ total, unique });
    expect(stats.series.reduce((sum, bucket) => sum + bucket.clicks, 0)).toBe(total);
    expect(stats.top.reduce((sum, { clicks }) => sum + clicks, 0)).toBe(total);
    expect(stats.top.some(({ value }) => value === "bot")).toBe(bots !== "exclude");
  });

  test("the link's own click count has the bots in it", async () => {
    const link = await read<LinkAnswer>(hop.api("GET", `${LINKS}/${code}`), 200);
    expect(link.clicks).toBe(10);
  });
});

describe("privacy", () => {
  test("no address, no number of a user agent and no referring page of a visitor is in the database or the log", async () => {
    const code = await create();
    const addresses = ["203.0.113.77", "198.51.100.23", "2001:db8:5a5a::77", US, DE];
    const referrer = "https://example.org/private-path?q=private-query";
    for (const ip of addresses) await visit(code, { ip, agent: `${CHROME} Private/7`, referrer });
    expect((await statsOf(code)).total).toBe(addresses.length);
    const stored = await dump();
    expect(stored).toContain("example.org");
    for (const text of [stored, hop.output()]) {
      for (const secret of [...addresses.flatMap(spellings), "Private/7", "private-path", "private-query"]) {
        expect(text.includes(secret), secret).toBe(false);
      }
    }
  });
});

/** Every row of every table, as text. */
async function dump(): Promise<string> {
  const tables = await database.sql<{ name: string }[]>`
    SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`;
  expect(tables.length).toBeGreaterThan(8);
  const texts = await Promise.all(
    tables.map(async ({ name }) => {
      const [row] = await database.sql.unsafe<{ text: string }[]>(
        `SELECT coalesce(string_agg(t::text, E'\\n'), '') AS text FROM ${name} t`,
      );
      return row?.text ?? "";
    }),
  );
  return texts.join("\n");
}

/** An address as text; an IPv4 address also as a number, in hexadecimal and in IPv6. */
function spellings(address: string): string[] {
  if (address.includes(":")) return [address];
  const hex = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return [
    address,
    String(Number.parseInt(hex.join(""), 16)),
    hex.join(""),
    `${hex[0]}${hex[1]}:${hex[2]}${hex[3]}`,
  ];
}
