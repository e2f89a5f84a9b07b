// The link operations of the API, row by row of its documentation.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type LinkAnswer, read, readProblem } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, NO_HURRY, startHop } from "../helpers/hop-process.ts";
import { KEPT } from "../helpers/target-cases.ts";

const LINKS = "/api/v1/links";
const TARGET = "https://example.com/api";

let database: TestDatabase;
let hop: HopProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({ HOP_DATABASE_URL: database.url, ...NO_HURRY });
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

const create = (body: object) => read<LinkAnswer>(hop.api("POST", LINKS, body), 201);
const get = (code: string) => read<LinkAnswer>(hop.api("GET", `${LINKS}/${code}`), 200);
const patch = (code: string, body: object) =>
  read<LinkAnswer>(hop.api("PATCH", `${LINKS}/${code}`, body), 200);
const visit = (code: string) => fetch(`${hop.url}/${code}`, { redirect: "manual" });

describe("POST /api/v1/links", () => {
  test("needs only a url and answers with every documented field", async () => {
    const response = await hop.api("POST", LINKS, { url: TARGET });
    expect(response.headers.get("x-request-id")).not.toBeNull();
    expect(response.headers.get("cache-control")).toBe("no-store");
    const link = await read<LinkAnswer>(response, 201);
    expect(link).toEqual({
      code: expect.stringMatching(/^[2-9A-HJ-NP-Za-hjkmnp-z]{7}$/),
      shortUrl: `${hop.url.replace("127.0.0.1", "localhost")}/${link.code}`,
      url: TARGET,
      title: null,
      tags: [],
      status: 302,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updatedAt: link.createdAt,
      expiresAt: null,
      clicks: 0,
    });
    expect(response.headers.get("location")).toBe(`${LINKS}/${link.code}`);
    expect(Math.abs(Date.parse(link.createdAt) - Date.now())).toBeLessThan(60_000);
  });

  test("keeps every field it is given", async () => {
    const fields = {
      url: `${TARGET}?a=1&b=%20#c`,
      code: "Spring-Sale_24",
      title: "Spring \u{1F338} 'sale'",
      tags: ["news", "two words", "üñí", '"{}\\'],
      status: 308,
      expiresAt: "2090-06-30T12:34:56.789Z",
    };
    expect(await create(fields)).toMatchObject(fields);
    expect(await get(fields.code)).toMatchObject(fields);
  });

  test("cuts spaces around titles and tags and keeps each tag once", async () => {
    const link = await create({ url: TARGET, title: "  a title ", tags: [" b", "b ", "a", "b"] });
    expect(link).toMatchObject({ title: "a title", tags: ["b", "a"] });
  });

  test("answers times in UTC, whatever their zone was", async () => {
    const link = await create({ url: TARGET, expiresAt: "2090-01-01T01:30:00+01:30" });
    expect(link.expiresAt).toBe("2090-01-01T00:00:00.000Z");
  });

  test("makes a link that is found without a slash at the end only", async () => {
    const { code } = await create({ url: TARGET });
    expect((await visit(code)).status).toBe(302);
    expect((await visit(`${code}/`)).status).toBe(404);
  });

  test.each(KEPT)("with %p redirects to %p, to the byte", async (raw, stored) => {
    const link = await create({ url: raw });
    expect(link.url).toBe(stored);
    expect((await visit(link.code)).headers.get("location")).toBe(stored);
  });

  test("reports all wrong fields at once", async () => {
    const body = { url: "nonsense", code: "a/b", title: 1, tags: ["ok", ""], status: 303, expiresAt: "soon" };
    const problem = await readProblem(hop.api("POST", LINKS, body), 422, "INVALID");
    const paths = problem.errors?.map((error) => error.path).toSorted();
    expect(paths).toEqual(["code", "expiresAt", "status", "tags.1", "title", "url"]);
    for (const error of problem.errors ?? []) expect(error.message).not.toBeEmpty();
  });

  test("refuses a time that is over", async () => {
    const expiresAt = new Date(Date.now() - 1_000).toISOString();
    const problem = await readProblem(hop.api("POST", LINKS, { url: TARGET, expiresAt }), 422, "INVALID");
    expect(problem.errors?.map((error) => error.path)).toEqual(["expiresAt"]);
  });

  test("refuses a code that is taken and leaves its owner alone", async () => {
    await create({ url: TARGET, code: "mine" });
    await readProblem(hop.api("POST", LINKS, { url: `${TARGET}/2`, code: "mine" }), 409, "CODE_TAKEN");
    expect((await get("mine")).url).toBe(TARGET);
  });

  test("makes a code that was asked for in vain usable at once", async () => {
    expect((await visit("asked-before")).status).toBe(404);
    await create({ url: TARGET, code: "asked-before" });
    expect((await visit("asked-before")).status).toBe(302);
  });
});

describe("GET /api/v1/links/:code", () => {
  test("answers a link with its clicks", async () => {
    const { code } = await create({ url: TARGET });
    for (let click = 1; click <= 3; click++) await visit(code);
    expect(await get(code)).toMatchObject({ code, url: TARGET, clicks: 3 });
  });

  test("answers 404 for a code that nobody has, also in another letter case", async () => {
    await create({ url: TARGET, code: "OnlyThis" });
    await readProblem(hop.api("GET", `${LINKS}/onlythis`), 404, "LINK_NOT_FOUND");
  });

  test("answers a HEAD with the same headers and no body", async () => {
    const { code } = await create({ url: TARGET });
    const answer = await hop.api("HEAD", `${LINKS}/${code}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
    expect(await answer.text()).toBe("");
  });
});

describe("PATCH /api/v1/links/:code", () => {
  const BEFORE = { title: "before", tags: ["a", "b"], status: 301, expiresAt: "2090-01-01T00:00:00.000Z" };

  test.each([
    { url: "https://example.com/after" },
    { title: "after" },
    { tags: ["c"] },
    { tags: [] },
    { status: 307 },
    { expiresAt: "2091-01-01T00:00:00.000Z" },
    { title: null },
    { expiresAt: null },
    { title: null, tags: [], status: 302, expiresAt: null, url: "https://example.com/all" },
  ])("with %j changes that and nothing else", async (change) => {
    const before = await create({ url: TARGET, ...BEFORE });
    const after = await patch(before.code, change);
    expect(after).toEqual({ ...before, ...change, updatedAt: after.updatedAt });
    expect(await get(before.code)).toEqual(after);
  });

  test("moves updatedAt and leaves createdAt", async () => {
    const before = await create({ url: TARGET });
    const after = await patch(before.code, { title: "x" });
    expect(after.createdAt).toBe(before.createdAt);
    expect(Date.parse(after.updatedAt)).toBeGreaterThan(Date.parse(before.updatedAt));
  });

  test("of a url is followed by the very next visit", async () => {
    const { code } = await create({ url: TARGET });
    for (let round = 1; round <= 20; round++) {
      await visit(code);
      await patch(code, { url: `${TARGET}/${round}`, status: round % 2 === 0 ? 302 : 307 });
      const answer = await visit(code);
      expect(answer.headers.get("location")).toBe(`${TARGET}/${round}`);
      expect(answer.status).toBe(round % 2 === 0 ? 302 : 307);
    }
  });

  test("with nothing to change answers the link as it is", async () => {
    const before = await create({ url: TARGET, ...BEFORE });
    expect(await patch(before.code, {})).toEqual({ ...before, updatedAt: expect.any(String) });
  });

  test("to a time that is over ends the link, and to null revives it", async () => {
    const { code } = await create({ url: TARGET });
    await patch(code, { expiresAt: "2020-01-01T00:00:00Z" });
    expect((await visit(code)).status).toBe(410);
    expect((await get(code)).expiresAt).toBe("2020-01-01T00:00:00.000Z");
    await patch(code, { expiresAt: null });
    expect((await visit(code)).status).toBe(302);
  });

  test("does not take a code", async () => {
    const { code } = await create({ url: TARGET });
    const problem = await readProblem(
      hop.api("PATCH", `${LINKS}/${code}`, { code: "other" }),
      422,
      "INVALID",
    );
    expect(problem.errors?.map((error) => error.path)).toEqual(["code"]);
  });

  test("answers 404 for a link that never was", async () => {
    await readProblem(hop.api("PATCH", `${LINKS}/never-was`, { title: "x" }), 404, "LINK_NOT_FOUND");
  });
});

describe("DELETE /api/v1/links/:code", () => {
  test("answers 204 with no body; the link is gone for everyone at once", async () => {
    const { code } = await create({ url: TARGET });
    expect((await visit(code)).status).toBe(302);
    const answer = await hop.api("DELETE", `${LINKS}/${code}`);
    expect(answer.status).toBe(204);
    expect(answer.headers.get("x-request-id")).not.toBeNull();
    expect(await answer.text()).toBe("");
    expect((await visit(code)).status).toBe(410);
    await readProblem(hop.api("GET", `${LINKS}/${code}`), 410, "LINK_GONE");
    await readProblem(hop.api("PATCH", `${LINKS}/${code}`, { title: "x" }), 410, "LINK_GONE");
    await readProblem(hop.api("DELETE", `${LINKS}/${code}`), 410, "LINK_GONE");
  });

  test("never frees the code", async () => {
    const { code } = await create({ url: TARGET, code: "once-only" });
    await hop.api("DELETE", `${LINKS}/${code}`);
    await readProblem(hop.api("POST", LINKS, { url: TARGET, code }), 409, "CODE_TAKEN");
  });

  test("keeps the statistics", async () => {
    const { code } = await create({ url: TARGET });
    await visit(code);
    await hop.api("DELETE", `${LINKS}/${code}`);
    const stats = await read<{ total: number }>(hop.api("GET", `${LINKS}/${code}/stats`), 200);
    expect(stats.total).toBe(1);
  });

  test("answers 404 for a link that never was", async () => {
    await readProblem(hop.api("DELETE", `${LINKS}/never-was`), 404, "LINK_NOT_FOUND");
  });
});

describe("a method that an address does not know", () => {
  test.each([
    ["PUT", LINKS, "POST, GET"],
    ["DELETE", LINKS, "POST, GET"],
    ["OPTIONS", LINKS, "POST, GET"],
    ["POST", `${LINKS}/x`, "GET, PATCH, DELETE"],
    ["PUT", `${LINKS}/x`, "GET, PATCH, DELETE"],
    ["POST", `${LINKS}/x/stats`, "GET"],
    ["POST", "/x", "GET, HEAD"],
    ["DELETE", "/x+", "GET, HEAD"],
  ])("%s %s answers 405 and names %s", async (method, path, allowed) => {
    const answer = await hop.api(method, path);
    expect(answer.headers.get("allow")).toBe(allowed);
    await readProblem(answer, 405, "METHOD_NOT_ALLOWED");
  });
});
