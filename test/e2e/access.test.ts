// Who may do what, and what hop tells of itself: API keys, health, metrics, documentation.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type LinkAnswer, read, readProblem } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, runHop, startHop } from "../helpers/hop-process.ts";

const LINKS = "/api/v1/links";
const TARGET = "https://example.com/access";
const SCOPES = ["links:read", "links:write", "stats:read", "admin"] as const;
type Scope = (typeof SCOPES)[number];

let database: TestDatabase;
let hop: HopProcess;
const keys = new Map<string, string>();

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({ HOP_DATABASE_URL: database.url });
  await read<LinkAnswer>(hop.api("POST", LINKS, { url: TARGET, code: "guarded" }), 201);
  const made = await Promise.all([...SCOPES, "links:read,stats:read"].map(makeKey));
  for (const { scopes, key } of made) keys.set(scopes, key);
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

const runKeys = (...args: string[]) => runHop(["keys", ...args], { HOP_DATABASE_URL: database.url });

/** A key made by the command, with the number it is revoked by. */
async function makeKey(scopes: string): Promise<{ scopes: string; key: string; id: string }> {
  const { code, output } = await runKeys("create", "--name", `a key for ${scopes}`, "--scopes", scopes);
  expect(code, output).toBe(0);
  const [, key = "", id = ""] = /^(hop_[\w-]{43})\nKey (\d+) /.exec(output) ?? [];
  expect(key, output).not.toBeEmpty();
  return { scopes, key, id };
}

const withKey = (key: string | undefined) => ({ Authorization: `Bearer ${key}` });

const OPERATIONS: readonly (readonly [
  method: string,
  path: string,
  scope: Scope,
  ok: number,
  body?: object,
])[] = [
  ["POST", LINKS, "links:write", 201, { url: TARGET }],
  ["PATCH", `${LINKS}/guarded`, "links:write", 200, { title: "x" }],
  ["DELETE", `${LINKS}/nothing`, "links:write", 404],
  ["GET", LINKS, "links:read", 200],
  ["GET", `${LINKS}/guarded`, "links:read", 200],
  ["GET", `${LINKS}/guarded/stats`, "stats:read", 200],
];

describe.each(OPERATIONS)("%s %s", (method, path, needed, ok, body) => {
  test("answers 401 and asks for a key without one", async () => {
    const answer = await fetch(`${hop.url}${path}`, { method });
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="hop"');
    await readProblem(answer, 401, "UNAUTHENTICATED");
  });

  test.each(SCOPES)(`with the scope %s is allowed just if that is admin or ${needed}`, async (scope) => {
    const answer = await hop.api(method, path, body, withKey(keys.get(scope)));
    if (scope === needed || scope === "admin") {
      expect(answer.status).toBe(ok);
      return;
    }
    const problem = await readProblem(answer, 403, "FORBIDDEN");
    expect(problem.detail).toContain(needed);
  });
});

describe("a key", () => {
  test("may have several scopes", async () => {
    const headers = withKey(keys.get("links:read,stats:read"));
    expect((await hop.api("GET", `${LINKS}/guarded`, undefined, headers)).status).toBe(200);
    expect((await hop.api("GET", `${LINKS}/guarded/stats`, undefined, headers)).status).toBe(200);
    await readProblem(hop.api("POST", LINKS, { url: TARGET }, headers), 403, "FORBIDDEN");
  });

  test("that is revoked is refused by the very next request", async () => {
    const { key, id } = await makeKey("links:read");
    const list = () => hop.api("GET", LINKS, undefined, withKey(key));
    expect((await list()).status).toBe(200);
    expect(await runKeys("revoke", id)).toMatchObject({ code: 0 });
    await readProblem(list(), 401, "UNAUTHENTICATED");
  });

  test("is not revoked twice", async () => {
    const { id } = await makeKey("links:read");
    expect(await runKeys("revoke", id)).toMatchObject({ code: 0 });
    const again = await runKeys("revoke", id);
    expect(again.code).not.toBe(0);
    expect(again.output).toMatch(/^hop: .+\n$/);
  });

  test("is listed by its beginning and never shown again", async () => {
    const { key } = await makeKey("stats:read");
    for (const args of [["list"], ["list", "--json"]]) {
      const { code, output } = await runKeys(...args);
      expect(code).toBe(0);
      expect(output).toContain(key.slice(0, 12));
      for (const secret of [...keys.values(), key]) expect(output).not.toContain(secret);
    }
  });

  test("is nowhere in the database", async () => {
    const [row] = await database.sql<
      { text: string }[]
    >`SELECT string_agg(k::text, ' ') AS text FROM api_keys k`;
    for (const key of keys.values()) expect(row?.text).not.toContain(key.slice(12));
  });

  test("with a scope that does not exist is not made", async () => {
    const { code, output } = await runKeys("create", "--name", "x", "--scopes", "links:read,links:own");
    expect(code).not.toBe(0);
    expect(output).toContain("links:own");
    expect(output).not.toContain("hop_");
  });

  test("has its own Idempotency-Keys", async () => {
    const answers = await Promise.all(
      ["links:write", "admin"].map((scope) => {
        const headers = { ...withKey(keys.get(scope)), "Idempotency-Key": "the-same" };
        return read<LinkAnswer>(hop.api("POST", LINKS, { url: TARGET }, headers), 201);
      }),
    );
    expect(new Set(answers.map((link) => link.code)).size).toBe(2);
  });
});

describe("health", () => {
  test("livez and readyz answer 200 on both listeners, to anyone", async () => {
    for (const url of [hop.url, hop.adminUrl]) {
      const [live, ready] = await Promise.all(["livez", "readyz"].map((path) => fetch(`${url}/${path}`)));
      expect(live?.status).toBe(200);
      expect(ready?.status).toBe(200);
      expect(await ready?.json()).toEqual({
        status: "ready",
        draining: false,
        dependencies: { postgres: "up" },
      });
    }
  });
});

describe("metrics", () => {
  const NAMES = [
    "hop_redirects_total",
    "hop_redirect_seconds",
    "hop_links_created_total",
    "hop_code_collisions_total",
    "hop_cache_requests_total",
    "hop_invalidation_seconds",
    "hop_clicks_total",
    "hop_click_batch_size",
    "hop_spool_bytes",
    "hop_spool_skipped_total",
    "hop_http_requests_total",
    "hop_http_request_seconds",
    "hop_build_info",
    "process_cpu_seconds_total",
  ];

  test("are on the admin listener, with every documented name", async () => {
    const answer = await fetch(`${hop.adminUrl}/metrics`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toStartWith("text/plain");
    const text = await answer.text();
    for (const name of NAMES) expect(text).toContain(`# TYPE ${name} `);
  });

  test("are not on the public listener, not even for an admin", async () => {
    await readProblem(hop.api("GET", "/metrics"), 404, "NOT_FOUND");
  });

  test("never have a code or another value of a caller for a label", async () => {
    await fetch(`${hop.url}/a-code-nobody-has`);
    await fetch(`${hop.url}/a/path/nobody/has`);
    await hop.api("GET", `${LINKS}/guarded`);
    const text = await (await fetch(`${hop.adminUrl}/metrics`)).text();
    expect(text).toContain('route="/api/v1/links/:code"');
    for (const word of ["guarded", "nobody", "example.com"]) expect(text).not.toContain(word);
  });

  test("are all that the admin listener has besides health", async () => {
    for (const path of ["/", LINKS, "/guarded"]) {
      expect((await fetch(`${hop.adminUrl}${path}`, { redirect: "manual" })).status).toBe(404);
    }
  });
});

describe("the documentation", () => {
  interface OpenApi {
    readonly openapi: string;
    readonly paths: Record<string, Record<string, { readonly responses: Record<string, unknown> }>>;
  }

  test("is an OpenAPI 3.1 document of every operation, its answers and its errors", async () => {
    const answer = await fetch(`${hop.url}/api/openapi.json`);
    expect(answer.headers.get("x-request-id")).not.toBeNull();
    const document = await read<OpenApi>(answer, 200);
    expect(document.openapi).toStartWith("3.1");
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(operations.toSorted()).toEqual([
      `DELETE ${LINKS}/{code}`,
      `GET ${LINKS}`,
      `GET ${LINKS}/{code}`,
      `GET ${LINKS}/{code}/stats`,
      `PATCH ${LINKS}/{code}`,
      `POST ${LINKS}`,
    ]);
    const create = document.paths[LINKS]?.["post"]?.responses ?? {};
    expect(Object.keys(create)).toEqual([
      "201",
      "400",
      "401",
      "403",
      "408",
      "409",
      "413",
      "415",
      "422",
      "429",
      "503",
    ]);
  });

  test("every reference in it leads somewhere", async () => {
    const text = await (await fetch(`${hop.url}/api/openapi.json`)).text();
    const { components } = JSON.parse(text) as { components: { schemas: Record<string, unknown> } };
    const names = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]);
    expect(names).not.toBeEmpty();
    for (const name of names) expect(Object.keys(components.schemas)).toContain(name ?? "");
  });

  test("has a page that loads nothing from elsewhere", async () => {
    const answer = await fetch(`${hop.url}/api/docs`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toStartWith("text/html");
    const page = await answer.text();
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    const parts = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) expect((await fetch(`${hop.url}${part}`)).status).toBe(200);
  });
});

test.each([
  "/",
  "/robots.txt",
  "/livez",
  "/readyz",
  "/api/docs",
  "/api/openapi.json",
  "/guarded",
  "/x",
  "/x/y",
])("%s answers with a request id", async (path) => {
  const answer = await fetch(`${hop.url}${path}`, { redirect: "manual" });
  expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f]{12}-[0-9a-z]+$/);
});
