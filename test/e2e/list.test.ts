// Listing links: pages, search and tags.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type LinkAnswer, type ListAnswer, read } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";

const LINKS = "/api/v1/links";
const TOTAL = 123;

let database: TestDatabase;
let hop: HopProcess;
/** Newest first. */
const codes: string[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({ HOP_DATABASE_URL: database.url });
  for (let n = 1; n <= TOTAL; n++) {
    const body = {
      url: `https://example.com/listed/${n}`,
      code: `listed-${n}`,
      tags: ["all", `mod${n % 10}`],
    };
    codes.unshift((await read<LinkAnswer>(hop.api("POST", LINKS, body), 201)).code);
  }
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

const list = (query: Record<string, string>) =>
  read<ListAnswer>(hop.api("GET", `${LINKS}?${new URLSearchParams(query).toString()}`), 200);

/** Every page in order, as codes. */
async function walk(query: Record<string, string>): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page: ListAnswer = await list({ ...query, ...(cursor !== "" && { cursor }) });
    pages.push(page.items.map((link) => link.code));
    cursor = page.nextCursor;
  }
  return pages;
}

describe("walking the pages", () => {
  test.each([1, 7, 41, 50, 122, 123, 124, 200])(
    "of %d links finds every link exactly once, newest first",
    async (limit) => {
      const pages = await walk({ limit: String(limit), tag: "all" });
      expect(pages.flat()).toEqual(codes);
      expect(pages).toHaveLength(Math.ceil(TOTAL / limit));
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
    },
  );

  test("gives 50 links a page unless told otherwise, and null after the last", async () => {
    const first = await list({});
    expect(first.items).toHaveLength(50);
    expect(first.nextCursor).toBeString();
    expect((await list({ limit: "200" })).nextCursor).toBeNull();
  });

  test("goes on undisturbed while links are made and deleted", async () => {
    const doomed = await read<LinkAnswer>(
      hop.api("POST", LINKS, { url: "https://example.com/d", tags: ["walk"] }),
      201,
    );
    const first = await list({ limit: "40", tag: "all" });
    await hop.api("POST", LINKS, { url: "https://example.com/new", tags: ["all-but-late"] });
    await hop.api("DELETE", `${LINKS}/${doomed.code}`);
    const rest: string[] = [];
    for (let cursor = first.nextCursor; cursor !== null;) {
      const page: ListAnswer = await list({ limit: "40", tag: "all", cursor });
      rest.push(...page.items.map((link) => link.code));
      cursor = page.nextCursor;
    }
    expect([...first.items.map((link) => link.code), ...rest]).toEqual(codes);
  });

  test("answers links as they are read one by one", async () => {
    const { items } = await list({ limit: "3", tag: "all" });
    for (const link of items) {
      expect(await read<LinkAnswer>(hop.api("GET", `${LINKS}/${link.code}`), 200)).toEqual(link);
    }
  });
});

describe("a tag", () => {
  test("selects the links that have it, over all pages", async () => {
    const expected = codes.filter((code) => Number(code.slice("listed-".length)) % 10 === 3);
    expect((await walk({ tag: "mod3", limit: "5" })).flat()).toEqual(expected);
  });

  test.each(["mod", "MOD3", "mod3 ", "mod33", ""])("is matched as a whole: %p finds nothing", async (tag) => {
    expect((await list({ tag })).items).toEqual([]);
  });

  test.each(['"', "{}", "NULL", "a b", "\\", "ü"])("may be %p", async (tag) => {
    const { code } = await read<LinkAnswer>(
      hop.api("POST", LINKS, { url: "https://example.com/t", tags: [tag] }),
      201,
    );
    expect((await list({ tag })).items.map((link) => link.code)).toEqual([code]);
  });
});

describe("a search", () => {
  test.each([
    ["the code", { code: "Needle-in-code" }],
    ["the title", { title: "A NEEDLE in a title" }],
    ["the url", { url: "https://example.com/needle?x=1" }],
  ])("finds text in %s, whatever its letter case", async (_where, fields) => {
    const made = hop.api("POST", LINKS, { url: "https://example.com/haystack", tags: ["s"], ...fields });
    const { code } = await read<LinkAnswer>(made, 201);
    expect((await list({ q: "nEEdlE" })).items.map((link) => link.code)).toContain(code);
  });

  test("of two letters finds what one of many finds", async () => {
    expect((await walk({ q: "d-", tag: "all" })).flat()).toEqual(codes);
  });

  test("and a tag must both hold", async () => {
    const expected = codes.filter((code) => code.includes("-1") && code.endsWith("3"));
    expect((await walk({ q: "listed-1", tag: "mod3" })).flat()).toEqual(expected);
  });

  test("does not find deleted links", async () => {
    const made = hop.api("POST", LINKS, { url: "https://example.com/", title: "vanishing act" });
    const { code } = await read<LinkAnswer>(made, 201);
    expect((await list({ q: "vanishing" })).items).toHaveLength(1);
    await hop.api("DELETE", `${LINKS}/${code}`);
    expect((await list({ q: "vanishing" })).items).toEqual([]);
  });
});
