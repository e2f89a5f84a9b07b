// What holds for any request at all. On a failure fast-check prints the seed and the smallest request that fails.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type LinkAnswer, read } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { AS_JSON, AUTHORISED } from "../helpers/hostile-case.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";
import { type RawAnswer, type RawRequest, sendRaw } from "../helpers/raw-http.ts";
import { KEPT, REFUSED } from "../helpers/target-cases.ts";

const LINKS = "/api/v1/links";
const RUNS = { numRuns: 150 };

let database: TestDatabase;
let hop: HopProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({ HOP_DATABASE_URL: database.url, HOP_TRUSTED_PROXIES: "127.0.0.1/32" });
  await read(hop.api("POST", LINKS, { url: "https://example.com/", code: "known" }), 201);
});

afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

/** Any code points, lone surrogates too where JSON carries the text. */
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.constantFrom("", "\0", "\ud800", "__proto__", "%", "_", "\\", "'", '"', "{}", "NULL", "x".repeat(5_000)),
);
const anyUrl = fc.oneof(
  anyText,
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
  anyText.map((text) => `https://example.com/${text}`),
  anyText.map((text) => `https://${text}/`),
  fc.constantFrom(...KEPT.map(([raw]) => raw), ...REFUSED.map(([raw]) => raw)),
);
const anyDate = fc.oneof(
  anyText,
  fc.date().map((date) => (Number.isNaN(date.getTime()) ? "Invalid Date" : date.toISOString())),
  fc
    .tuple(fc.nat(9_999), fc.nat(13), fc.nat(32), fc.nat(24), fc.constantFrom("Z", "+23:59", "-23:59", ""))
    .map(([year, month, day, hour, zone]) => {
      const date = [String(year).padStart(4, "0"), twoDigits(month), twoDigits(day)].join("-");
      return `${date}T${twoDigits(hour)}:00:00${zone}`;
    }),
);
const anyJson = fc.jsonValue({ maxDepth: 4, stringUnit: "binary" });
const orAnything = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: value }, { weight: 1, arbitrary: anyJson });
const anyFields = fc.record(
  {
    url: orAnything(anyUrl),
    code: orAnything(anyText),
    title: orAnything(anyText),
    tags: orAnything(fc.array(anyText, { maxLength: 22 })),
    status: orAnything(fc.constantFrom(301, 302, 303, 307, 308)),
    expiresAt: orAnything(anyDate),
  },
  { requiredKeys: [] },
);
const textOr = (...words: string[]) => fc.oneof(anyText, fc.constantFrom(...words));
const twoDigits = (part: number) => String(part).padStart(2, "0");
/** Bytes as they may stand in a header: no control characters, which Bun refuses before hop sees them. */
const anyHeader = fc
  .array(fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })), {
    maxLength: 300,
  })
  .map((bytes) => String.fromCharCode(...bytes));
/** Bytes as they may stand in an address: some as they are, some percent-encoded, some wrongly so. */
const anyAddress = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 255 }).map((byte) => `%${byte.toString(16).padStart(2, "0")}`),
      fc.integer({ min: 0x21, max: 0x7e }).map((byte) => String.fromCharCode(byte)),
      fc.constantFrom("/", "..", "//", "+", "%", "%u0000", "known", "?", "&", "=", "#", "api", ";"),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));

/** Success or a problem document, never a failure of hop's own. */
function expectSound(answer: RawAnswer): void {
  expect(answer.status, answer.body.slice(0, 500)).toBeLessThan(500);
  // Bun's own refusal of what is no HTTP.
  if (answer.status === 400 && answer.body === "") return;
  expect(answer.headers.get("x-request-id")).not.toBeNull();
  if (answer.status < 400) return;
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  const problem = JSON.parse(answer.body) as Record<string, unknown>;
  expect(problem).toMatchObject({ status: answer.status, code: expect.stringMatching(/^[A-Z_]+$/) });
  if (problem["code"] === "INVALID") expect(problem["errors"]).not.toBeEmpty();
}

async function holds(request: RawRequest): Promise<void> {
  expectSound(await sendRaw(hop.url, request));
}

const post = (body: string | Uint8Array): RawRequest => ({
  method: "POST",
  path: LINKS,
  headers: [AUTHORISED, AS_JSON],
  body,
});
const query = (fields: Record<string, string>) =>
  Object.entries(fields)
    .map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`)
    .join("&");

describe("an answer is a success or a problem document, and never hop's own failure, for", () => {
  test("any JSON as a create", async () => {
    await fc.assert(
      fc.asyncProperty(anyJson, (value) => holds(post(JSON.stringify(value)))),
      RUNS,
    );
  });

  test("any bytes as a create", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (bytes) => holds(post(bytes))),
      RUNS,
    );
  });

  test("any fields of a create", async () => {
    await fc.assert(
      fc.asyncProperty(anyFields, (fields) => holds(post(JSON.stringify(fields)))),
      { numRuns: 400 },
    );
  });

  test("any fields of a change", async () => {
    await fc.assert(
      fc.asyncProperty(anyFields, (fields) =>
        holds({ ...post(JSON.stringify(fields)), method: "PATCH", path: `${LINKS}/known` }),
      ),
      RUNS,
    );
  });

  test("any query of a list", async () => {
    const cursor = fc.oneof(
      anyText,
      anyText.map((text) => Buffer.from(`before:${text}`).toString("base64url")),
    );
    const limit = fc.oneof(anyText, fc.integer().map(String), fc.double().map(String));
    const any = fc.record({ q: anyText, tag: anyText, cursor, limit }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(any, (fields) => holds({ path: `${LINKS}?${query(fields)}`, headers: [AUTHORISED] })),
      { numRuns: 300 },
    );
  });

  test("any query of statistics", async () => {
    const any = fc.record(
      {
        from: anyDate,
        to: anyDate,
        interval: textOr("hour", "day", "month"),
        by: textOr("country", "os", "visitor"),
        bots: textOr("only", "exclude"),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(any, (fields) =>
        holds({ path: `${LINKS}/known/stats?${query(fields)}`, headers: [AUTHORISED] }),
      ),
      { numRuns: 300 },
    );
  });

  test("any address", async () => {
    const place = fc.constantFrom("/", `${LINKS}/`, `${LINKS}?`, `${LINKS}/known/stats?`, "/known", "/api/");
    const method = fc.constantFrom("GET", "POST", "DELETE", "PATCH", "PUT");
    await fc.assert(
      fc.asyncProperty(place, anyAddress, method, async (front, rest, method) => {
        // A link that others need is not deleted.
        if (method === "DELETE" && rest.startsWith("known")) return;
        await holds({ method, path: `${front}${rest}`, headers: [AUTHORISED] });
      }),
      { numRuns: 400 },
    );
  });

  test("any headers of a visit", async () => {
    const name = fc.constantFrom(
      "X-Forwarded-For",
      "User-Agent",
      "Referer",
      "Accept-Language",
      "Sec-Purpose",
      "Cookie",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, anyHeader), { maxLength: 5 }), async (headers) => {
        const answer = await sendRaw(hop.url, { path: "/known", headers });
        expect(answer.status).toBeOneOf([301, 302, 307, 308, 410]);
      }),
      RUNS,
    );
  });

  test("any headers of a create", async () => {
    const name = fc.constantFrom("Authorization", "Idempotency-Key", "Content-Type", "Accept", "Prefer");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(name, anyHeader), { maxLength: 3 }),
        fc.boolean(),
        (headers, known) =>
          holds({
            ...post('{"url":"https://example.com/"}'),
            headers: known ? [AUTHORISED, AS_JSON, ...headers] : headers,
          }),
      ),
      RUNS,
    );
  });
});

describe("a link that was accepted", () => {
  const goodText = fc.string({ unit: "grapheme", maxLength: 40 });
  const goodFields = fc.record(
    {
      url: anyUrl,
      code: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
      title: fc.option(goodText),
      tags: fc.array(goodText, { maxLength: 5 }),
      status: fc.constantFrom(301, 302, 307, 308),
      expiresAt: fc.option(
        fc
          .date({ min: new Date("2090-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
          .map((date) => date.toISOString()),
      ),
    },
    { requiredKeys: ["url"] },
  );

  test("is read back as it was answered, as it was asked for, and redirects to its url to the byte", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(goodFields, async (fields) => {
        const answer = await hop.api("POST", LINKS, fields);
        if (answer.status !== 201) {
          expect(answer.status).toBeOneOf([409, 422]);
          return;
        }
        accepted++;
        const link = await read<LinkAnswer>(answer, 201);
        expect(link.url).toBe(new URL(fields.url).href);
        expect(link.code).toBe(fields.code ?? link.code);
        expect(link.title).toBe(fields.title?.trim() ?? null);
        expect(link.tags).toEqual([...new Set((fields.tags ?? []).map((tag) => tag.trim()))]);
        expect(link.status).toBe(fields.status ?? 302);
        expect(link.expiresAt).toBe(fields.expiresAt ?? null);
        expect(await read<LinkAnswer>(hop.api("GET", `${LINKS}/${link.code}`), 200)).toEqual(link);
        const redirected = await sendRaw(hop.url, { path: `/${link.code}` });
        expect(redirected.status).toBe(link.status);
        expect(redirected.headers.get("location")).toBe(link.url);
      }),
      { numRuns: 400 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  test("is found by any part of its title", async () => {
    const title = fc
      .string({ unit: "grapheme-ascii", minLength: 3, maxLength: 30 })
      .filter((text) => text.trim() === text);
    await fc.assert(
      fc.asyncProperty(title, fc.nat(30), async (title, at) => {
        const made = hop.api("POST", LINKS, { url: "https://example.com/", title, tags: ["titled"] });
        const { code } = await read<LinkAnswer>(made, 201);
        const path = `${LINKS}?${query({ q: title.slice(at % (title.length - 1)), tag: "titled", limit: "1" })}`;
        const { items } = await read<{ items: LinkAnswer[] }>(hop.api("GET", path), 200);
        expect(items.map((link) => link.code)).toEqual([code]);
      }),
      { numRuns: 60 },
    );
  });
});

test("after any requests at all, nothing was logged as a bug and no redirect failed", async () => {
  expect(hop.output()).not.toContain("request failed");
  expect(await hop.metric('hop_redirects_total{outcome="failed"}')).toBe(0);
});
