// Hostile input over real HTTP: it gets the answer that is documented for it, and hop goes on.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type LinkAnswer, type ListAnswer, read } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { DELETED_CODE, type HostileCase, KNOWN_CODE, OWN_PORT } from "../helpers/hostile-case.ts";
import { HOSTILE_REQUESTS } from "../helpers/hostile-requests.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";
import { HANG_UP_MS, HOSTILE_WIRE, type WireCase } from "../helpers/hostile-wire.ts";
import { type Exchange, exchange, type RawAnswer, sendRaw } from "../helpers/raw-http.ts";

const TARGET = "https://example.com/known";

let database: TestDatabase;
let hop: HopProcess;
/** All sent at once at the start and judged at the end, because some take seconds to be hung up on. */
let wire: Map<string, Promise<Exchange>>;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({
    HOP_DATABASE_URL: database.url,
    HOP_TRUSTED_PROXIES: "127.0.0.1/32",
    HOP_BODY_BYTES: "262144",
    HOP_BODY_TIMEOUT_MS: "300",
    HOP_IDLE_TIMEOUT_SECONDS: "2",
  });
  for (const code of [KNOWN_CODE, DELETED_CODE]) {
    expect((await hop.api("POST", "/api/v1/links", { url: TARGET, code })).status).toBe(201);
  }
  wire = new Map(
    HOSTILE_WIRE.map(({ name, parts }) => {
      const ended = exchange(hop.url, parts, { timeoutMs: HANG_UP_MS });
      ended.catch(() => undefined);
      return [name, ended];
    }),
  );
  expect((await hop.api("DELETE", `/api/v1/links/${DELETED_CODE}`)).status).toBe(204);
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

describe("hop gives the documented answer to", () => {
  test.each(HOSTILE_REQUESTS.map((entry): [string, HostileCase] => [entry.name, entry]))(
    "%s",
    async (_name, { request, expected }) => {
      const body =
        typeof request.body === "string"
          ? request.body.replaceAll(OWN_PORT, new URL(hop.url).port)
          : request.body;
      expectAnswer(await sendRaw(hop.url, { ...request, ...(body !== undefined && { body }) }), expected);
    },
  );
});

function expectAnswer(answer: RawAnswer, [status, code, field]: HostileCase["expected"]): void {
  const problem = code === undefined ? undefined : JSON.parse(answer.body);
  expect({ status: answer.status, code: problem?.code }, answer.body.slice(0, 500)).toEqual({ status, code });
  expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f]{12}-[0-9a-z]+$/);
  if (problem === undefined) return;
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(problem).toMatchObject({ status, requestId: answer.headers.get("x-request-id") });
  if (code === "INVALID")
    expect(problem.errors.map((error: { path: string }) => error.path)).toContain(field);
  if (status === 401) expect(answer.headers.get("www-authenticate")).toStartWith("Bearer");
  if (status === 405) expect(answer.headers.get("allow")).not.toBeEmpty();
}

describe("hop neither hangs nor fails on", () => {
  test.each(HOSTILE_WIRE.map((entry): [string, WireCase] => [entry.name, entry]))(
    "%s",
    async (name, { endings }) => {
      const ended = await wire.get(name);
      const [answer] = ended?.answers ?? [];
      expect(endings).toContain(answer?.status ?? "closed");
      // Bun's own refusals have neither a body nor a request id.
      if (answer?.body.startsWith("{")) expect(answer.headers.get("x-request-id")).not.toBeNull();
    },
  );
});

describe("a search", () => {
  test.each(["100%", "a_b", "c\\d", "%", "_", "\\", "%_\\%", "''", "$1"])(
    "for %p finds that text and nothing else",
    async (text) => {
      const marked = { url: TARGET, title: `metacharacters <${text}>` };
      const { code } = await read<LinkAnswer>(hop.api("POST", "/api/v1/links", marked), 201);
      await hop.api("POST", "/api/v1/links", { url: TARGET, title: "metacharacters <100x aXb cXd>" });
      const query = encodeURIComponent(`<${text}>`);
      const { items } = await read<ListAnswer>(hop.api("GET", `/api/v1/links?q=${query}`), 200);
      expect(items.map((link) => link.code)).toEqual([code]);
    },
  );
});

describe("after all that", () => {
  test("the same hop still makes a link and redirects to it", async () => {
    const created = hop.api("POST", "/api/v1/links", { url: "https://example.com/after" });
    const { code } = await read<LinkAnswer>(created, 201);
    const redirected = await fetch(`${hop.url}/${code}`, { redirect: "manual" });
    expect(redirected.status).toBe(302);
    expect(redirected.headers.get("location")).toBe("https://example.com/after");
  });

  test("no redirect failed and no request was a bug", async () => {
    await Promise.all(wire.values());
    expect(await hop.metric('hop_redirects_total{outcome="failed"}')).toBe(0);
    expect(await hop.metric('hop_redirects_total{outcome="redirected"}')).toBeGreaterThan(30);
    expect(hop.output()).not.toContain("request failed");
    const metrics = await (await fetch(`${hop.adminUrl}/metrics`)).text();
    expect(metrics.match(/^hop_http_requests_total.*status="5.*$/gm)).toBeNull();
  });

  test("no link leads anywhere but to the target it was given", async () => {
    const [row] = await database.sql`SELECT target FROM links WHERE code = ${KNOWN_CODE}`;
    expect(row?.["target"]).toBe(TARGET);
  });
});

test("the tables of hostile requests have at least 150 entries and no name twice", () => {
  for (const table of [HOSTILE_REQUESTS, HOSTILE_WIRE]) {
    const names = table.map((entry) => entry.name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  }
  expect(HOSTILE_REQUESTS.length).toBeGreaterThanOrEqual(150);
});
