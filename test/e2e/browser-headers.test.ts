// What browsers are told about every kind of answer, what a false host or scheme changes (nothing), and what is logged of it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { ADMIN_KEY, freePort, type HopProcess, startHop } from "../helpers/hop-process.ts";
import { times } from "../helpers/limited-hop.ts";
import { sendRaw } from "../helpers/raw-http.ts";

const BASE_URL = "https://go.example";
const TARGET = "https://example.com/known";
const LINKS = "/api/v1/links";
const MISSES = 40;

let database: TestDatabase;
let hop: HopProcess;
/** Where it listens; what it says of itself is BASE_URL. */
let url: string;

beforeAll(async () => {
  database = await createTestDatabase();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  hop = await startHop({
    HOP_DATABASE_URL: database.url,
    HOP_PORT: String(port),
    HOP_BASE_URL: BASE_URL,
    HOP_LIMIT_ADDRESS_MISSES: String(MISSES),
    HOP_LOG_LEVEL: "info",
  });
  expect((await create({ code: "known" })).status).toBe(201);
  expect((await create({ code: "ended" })).status).toBe(201);
  expect((await ask(`${LINKS}/ended`, { method: "DELETE" })).status).toBe(204);
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("Authorization")) headers.set("Authorization", `Bearer ${ADMIN_KEY}`);
  headers.set("Content-Type", "application/json");
  return fetch(`${url}${path}`, { redirect: "manual", ...init, headers });
}

function create(fields: object, headers: Record<string, string> = {}): Promise<Response> {
  return ask(LINKS, { method: "POST", headers, body: JSON.stringify({ url: TARGET, ...fields }) });
}

const html = { headers: { Accept: "text/html" } };

const PAGES: [string, string, number][] = [
  ["the front page", "/", 200],
  ["a preview", "/known+", 200],
  ["a preview of nothing", "/nothing+", 404],
  ["a link that does not exist", "/nothing", 404],
  ["a link that has ended", "/ended", 410],
  ["an address that is no link", "/a/b", 404],
  ["the API's documentation", "/api/docs", 200],
];

const DATA: [string, string, number][] = [
  ["a list of links", LINKS, 200],
  ["a link", `${LINKS}/known`, 200],
  ["statistics", `${LINKS}/known/stats`, 200],
  ["a link that does not exist", `${LINKS}/nothing`, 404],
  ["a query that is wrong", `${LINKS}?limit=x`, 422],
  ["a short link that does not exist, for a program", "/nothing", 404],
  ["a short link that has ended, for a program", "/ended", 410],
  ["the OpenAPI document", "/api/openapi.json", 200],
  ["a script of the documentation", "/api/docs/start.js", 200],
  ["robots.txt", "/robots.txt", 200],
  ["health", "/readyz", 200],
];

/** Without what changes from one moment to the next. */
const steady = (body: string) => body.replace(/"(clicks|updatedAt)":[^,}]*|Request [0-9a-f]{12}-\w+/g, "");

const logged = () =>
  hop
    .output()
    .trim()
    .split("\n")
    .filter((line) => line.startsWith("{"));

/** What holds for every answer but a redirect. */
function expectAlways(answer: Response, status: number): string {
  expect(answer.status).toBe(status);
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
  expect(answer.headers.get("strict-transport-security")).toBe("max-age=31536000");
  expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f]{12}-[0-9a-z]+$/);
  const policy = answer.headers.get("content-security-policy") ?? "";
  for (const rule of [
    "default-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]) {
    expect(policy).toContain(rule);
  }
  // Nothing from elsewhere, no code in a page.
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src [^;]*'unsafe-inline'/);
  return policy;
}

test.each(PAGES)(
  "%s is a page that may load, run and tell nothing it does not need",
  async (name, path, status) => {
    const answer = await ask(path, html);
    const policy = expectAlways(answer, status);
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(answer.headers.get("permissions-policy")).toContain("geolocation=()");
    expect(answer.headers.get("cross-origin-opener-policy")).toBe("same-origin");
    const text = await answer.text();
    if (name !== "the API's documentation") expect(policy).not.toContain("script-src");
    // Only what has a hash or is a file of hop's own is let through: no script in the text, no handler, no style attribute.
    expect(text).not.toMatch(/<script(?![^>]* src="\/)|\son\w+=|\sstyle=|javascript:/i);
    const style = /<style>(.*?)<\/style>/s.exec(text)?.[1];
    if (style !== undefined) {
      expect(policy).toContain(`'sha256-${new Bun.CryptoHasher("sha256").update(style).digest("base64")}'`);
    }
  },
);

test.each(DATA)("%s is data that cannot become a page", async (_name, path, status) => {
  const answer = await ask(path);
  expectAlways(answer, status);
  expect(answer.headers.get("content-type")).not.toContain("html");
});

test("a refused write, a wrong key and a wrong method are told the same", async () => {
  expectAlways(await create({ url: "nonsense" }), 422);
  expectAlways(await ask(LINKS, { headers: { Authorization: "Bearer hop_wrong" } }), 401);
  expectAlways(await ask(LINKS, { method: "PUT" }), 405);
});

describe("whatever host and scheme a request names", () => {
  const FALSE_HEADERS = [
    ["Host", "evil.example"],
    ["X-Forwarded-Host", "evil.example"],
    ["X-Forwarded-Proto", "javascript"],
    ["X-Forwarded-Port", "666"],
    ["X-Original-URL", "/api/v1/links"],
    ["X-Rewrite-URL", "/readyz"],
    ["Forwarded", "for=192.0.2.1;host=evil.example;proto=http"],
    ["X-HTTP-Method-Override", "DELETE"],
  ] as const satisfies readonly (readonly [string, string])[];

  test("short URLs, redirects and pages are the same", async () => {
    const authorised: readonly [string, string] = ["Authorization", `Bearer ${ADMIN_KEY}`];
    const plain = ["/known", "/known+", "/", `${LINKS}/known`];
    for (const path of plain) {
      const honest = await sendRaw(url, { path, headers: [authorised] });
      const spoofed = await sendRaw(url, { path, headers: [...FALSE_HEADERS, authorised] });
      expect(spoofed.status).toBe(honest.status);
      expect(spoofed.headers.get("location")).toBe(honest.headers.get("location"));
      expect(steady(spoofed.body)).toBe(steady(honest.body));
      expect(`${spoofed.body}${[...spoofed.headers.values()].join()}`).not.toContain("evil");
    }
    const created = await create({}, Object.fromEntries(FALSE_HEADERS.filter(([name]) => name !== "Host")));
    expect(await created.json()).toMatchObject({
      shortUrl: expect.stringMatching(/^https:\/\/go\.example\/\w+$/),
    });
    expect(created.headers.get("location")).toMatch(/^\/api\/v1\/links\/\w+$/);
  });

  test("a target on hop's own host is refused, and one on the named host is not", async () => {
    expect((await create({ url: `${BASE_URL}/known` })).status).toBe(422);
    expect(
      (await create({ url: "https://evil.example/x" }, { "X-Forwarded-Host": "evil.example" })).status,
    ).toBe(201);
  });
});

test("requests are not logged, redirects and failures neither; what is logged is JSON", async () => {
  const before = logged().length;
  const statuses = await Promise.all(Array.from({ length: 100 }, async () => (await ask("/known")).status));
  expect(statuses).toEqual(times(100, 302));
  for (const path of ["/nothing", `${LINKS}/nothing`, "/a/b"]) await ask(path);
  await create({ url: "nonsense" });
  expect(logged().length).toBe(before);
  for (const line of logged()) {
    expect(JSON.parse(line)).toMatchObject({
      level: expect.any(String),
      time: expect.any(String),
      msg: expect.any(String),
    });
  }
});

test("a hop whose short URLs begin with http does not ask for https", async () => {
  const plain = await startHop({ HOP_DATABASE_URL: database.url });
  for (const path of ["/", "/nothing", "/known+", LINKS]) {
    const answer = await fetch(`${plain.url}${path}`);
    expect(answer.headers.has("strict-transport-security")).toBe(false);
  }
  expect(await plain.kill("SIGTERM")).toBe(0);
});
