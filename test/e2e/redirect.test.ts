// Following short links: what visitors get, what counts as a click, and what they are told when there is nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type LinkAnswer, read, readProblem } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";
import { waitFor } from "../helpers/wait-for.ts";

const LINKS = "/api/v1/links";
const TARGET = "https://example.com/target?a=1&b=%20#c";
const HTML = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

let database: TestDatabase;
let hop: HopProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({ HOP_DATABASE_URL: database.url });
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

const create = (body: object = {}) => read<LinkAnswer>(hop.api("POST", LINKS, { url: TARGET, ...body }), 201);
const visit = (path: string, init: RequestInit = {}) =>
  fetch(`${hop.url}/${path}`, { redirect: "manual", ...init });
const clicksOf = async (code: string) =>
  (await read<LinkAnswer>(hop.api("GET", `${LINKS}/${code}`), 200)).clicks;

describe("a visit", () => {
  test.each([301, 302, 307, 308])("of a link with status %d answers that, and is counted", async (status) => {
    const { code } = await create({ status });
    const answer = await visit(code);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("location")).toBe(TARGET);
    expect(answer.headers.get("cache-control")).toBe("private, no-store");
    expect(answer.headers.get("x-request-id")).not.toBeNull();
    expect(await answer.text()).toBe("");
    expect(await clicksOf(code)).toBe(1);
  });

  test("with a query goes to the target as it is stored", async () => {
    const { code } = await create();
    const answer = await visit(`${code}?utm_source=x&url=https://evil.example/`);
    expect(answer.headers.get("location")).toBe(TARGET);
  });

  test.each(["__proto__", "constructor", "toString", "-", "_", "x".repeat(64)])(
    "of a link whose code is %s is nothing special",
    async (code) => {
      await create({ code });
      expect((await visit(code)).headers.get("location")).toBe(TARGET);
      expect(await clicksOf(code)).toBe(1);
    },
  );

  test("has a request id that no other answer has", async () => {
    const { code } = await create();
    const answers = await Promise.all(Array.from({ length: 100 }, () => visit(code)));
    expect(new Set(answers.map((answer) => answer.headers.get("x-request-id"))).size).toBe(100);
  });

  test("is counted once for each of 200 at the same time", async () => {
    const { code } = await create();
    const answers = await Promise.all(Array.from({ length: 200 }, () => visit(code)));
    expect(answers.every((answer) => answer.status === 302)).toBe(true);
    expect(await clicksOf(code)).toBe(200);
  });
});

describe("what is no click", () => {
  test("a HEAD gets the headers of a GET and is not counted", async () => {
    const { code } = await create();
    const [head, got] = [await visit(code, { method: "HEAD" }), await visit(code)];
    expect(head.status).toBe(got.status);
    for (const name of ["location", "cache-control", "content-type", "vary"]) {
      expect(head.headers.get(name)).toBe(got.headers.get(name));
    }
    expect(await clicksOf(code)).toBe(1);
  });

  test.each([
    ["Sec-Purpose", "prefetch"],
    ["Sec-Purpose", "prefetch;prerender"],
    ["Purpose", "prefetch"],
    ["X-Moz", "prefetch"],
    ["X-Purpose", "preview"],
  ])("a prefetch (%s: %s) is redirected and not counted", async (name, value) => {
    const { code } = await create();
    const before = await hop.metric('hop_redirects_total{outcome="not_counted"}');
    expect((await visit(code, { headers: { [name]: value } })).headers.get("location")).toBe(TARGET);
    expect(await clicksOf(code)).toBe(0);
    expect(await hop.metric('hop_redirects_total{outcome="not_counted"}')).toBe(before + 1);
  });

  test("a preview shows where the link goes, and is not counted", async () => {
    const { code, createdAt } = await create({ expiresAt: "2090-05-06T00:00:00Z" });
    for (const method of ["GET", "HEAD"]) {
      const answer = await visit(`${code}+`, { method });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(answer.headers.get("x-request-id")).not.toBeNull();
      const page = await answer.text();
      if (method === "HEAD") expect(page).toBe("");
      else {
        expect(page).toContain(`href="${TARGET.replace("&", "&amp;")}"`);
        expect(page).toContain(createdAt.slice(0, 10));
        expect(page).toContain("2090-05-06");
      }
    }
    expect(await clicksOf(code)).toBe(0);
  });

  test("a preview of a hostile target is text, not markup", async () => {
    const { code } = await create({ url: "https://example.com/'\"><script>alert(1)</script>?&quot;" });
    const page = await (await visit(`${code}+`)).text();
    expect(page).not.toContain("<script");
    expect(page).not.toContain("'\"");
  });
});

describe("a link that has ended", () => {
  test("by its own date answers 410 from then on, for visits and previews", async () => {
    const { code } = await create({ expiresAt: new Date(Date.now() + 1_500).toISOString() });
    expect((await visit(code)).status).toBe(302);
    await waitFor("the link to end", async () => (await visit(code)).status === 410);
    await readProblem(visit(code), 410, "LINK_GONE");
    await readProblem(visit(`${code}+`), 410, "LINK_GONE");
  });

  test("keeps the clicks it had, and gets no more", async () => {
    const { code } = await create();
    await visit(code);
    await read(hop.api("PATCH", `${LINKS}/${code}`, { expiresAt: "2020-01-01T00:00:00Z" }), 200);
    for (let round = 0; round < 3; round++) expect((await visit(code)).status).toBe(410);
    expect(await clicksOf(code)).toBe(1);
  });
});

describe("where there is nothing", () => {
  beforeAll(async () => {
    await create({ code: "deleted-link" });
    await hop.api("DELETE", `${LINKS}/deleted-link`);
  });

  const ENDS = [
    ["no-such-link", 404, "LINK_NOT_FOUND", "not_found"],
    ["deleted-link", 410, "LINK_GONE", "gone"],
  ] as const;

  test.each(ENDS)("a program that asks for %s gets %d as a problem document", async (code, status, name) => {
    for (const Accept of ["*/*", "application/json", "application/problem+json"]) {
      const answer = await visit(code, { headers: { Accept } });
      expect(answer.headers.get("location")).toBeNull();
      await readProblem(answer, status, name);
    }
  });

  test.each(ENDS)("a browser that asks for %s gets %d as a page", async (code, status) => {
    for (const path of [code, `${code}+`]) {
      const answer = await visit(path, { headers: HTML });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(answer.headers.get("cache-control")).toBe("no-store");
      const requestId = answer.headers.get("x-request-id") ?? "none";
      expect(await answer.text()).toContain(requestId);
    }
  });

  test.each(ENDS)("a HEAD of %s gets %d and no body", async (code, status) => {
    const answer = await visit(code, { method: "HEAD" });
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe("");
  });

  test.each(ENDS)("asking for %s is counted in the metrics", async (code, _status, _name, outcome) => {
    const before = await hop.metric(`hop_redirects_total{outcome="${outcome}"}`);
    await visit(code);
    expect(await hop.metric(`hop_redirects_total{outcome="${outcome}"}`)).toBe(before + 1);
  });

  test("any other address is a page for browsers and a problem for programs", async () => {
    await readProblem(visit("a/b"), 404, "NOT_FOUND");
    const page = await visit("<b>/x", { headers: HTML });
    expect(page.status).toBe(404);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("x-request-id")).not.toBeNull();
  });
});

describe("while Postgres is away", () => {
  beforeAll(() => {
    database.proxy.setMode("refuse");
    database.proxy.cut();
  });
  afterAll(async () => {
    database.proxy.setMode("pass");
    await waitFor("Postgres to be back", async () => (await visit("back-again")).status === 404);
  });

  test("a code that was never seen answers 503 with Retry-After, never 404", async () => {
    await readProblem(visit("never-seen"), 503, "TEMPORARILY_UNAVAILABLE");
    await readProblem(visit("never-seen+"), 503, "TEMPORARILY_UNAVAILABLE");
  });

  test("a browser gets that as a page", async () => {
    const page = await visit("never-seen", { headers: HTML });
    expect(page.status).toBe(503);
    expect(page.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  });

  test("the API answers 503 with Retry-After", async () => {
    await readProblem(hop.api("POST", LINKS, { url: TARGET }), 503, "TEMPORARILY_UNAVAILABLE");
    await readProblem(hop.api("GET", LINKS), 503, "TEMPORARILY_UNAVAILABLE");
  });

  test("hop is alive and degraded, not out of service", async () => {
    for (const url of [hop.url, hop.adminUrl]) {
      expect((await fetch(`${url}/livez`)).status).toBe(200);
      const ready = await fetch(`${url}/readyz`);
      expect(ready.status).toBe(200);
      expect(await ready.json()).toEqual({
        status: "degraded",
        draining: false,
        dependencies: { postgres: "down" },
      });
    }
  });
});
