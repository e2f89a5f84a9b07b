// Hostile input over real HTTP: it gets the answer that is documented for it, and hop goes on.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { DELETED_CODE, type HostileCase, KNOWN_CODE, OWN_PORT } from "../helpers/hostile-case.ts";
import { HOSTILE_REQUESTS } from "../helpers/hostile-requests.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";
import { type RawAnswer, sendRaw } from "../helpers/raw-http.ts";

const TARGET = "https://example.com/known";

let database: TestDatabase;
let hop: HopProcess;

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

test("the table of hostile requests has at least 150 entries and no name twice", () => {
  const names = HOSTILE_REQUESTS.map((entry) => entry.name);
  expect(names.length).toBeGreaterThanOrEqual(150);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
