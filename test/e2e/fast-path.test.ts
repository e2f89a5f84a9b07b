// The fast path answers as the general server does, passes on what is not for it, and counts the same visitors.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { ADMIN_KEY, type HopProcess, NO_HURRY, startHop } from "../helpers/hop-process.ts";
import { type ExchangeOptions, exchange, type RawAnswer } from "../helpers/raw-http.ts";
import { waitFor } from "../helpers/wait-for.ts";

const HOST = "Host: hop.test\r\n";
const AGENT = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0\r\n";
const AUTHORISED = `Authorization: Bearer ${ADMIN_KEY}\r\n`;
const get = (code: string, headers = "") => `GET /${code} HTTP/1.1\r\n${HOST}${AGENT}${headers}\r\n`;
const LAST = "Connection: close\r\n";

let database: TestDatabase;
let fast: HopProcess;
let general: HopProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  const env = { HOP_DATABASE_URL: database.url, ...NO_HURRY };
  [fast, general] = await Promise.all([startHop(env), startHop({ ...env, HOP_FAST_PATH: "off" })]);
  await create("known");
  await create("kept", { status: 308 });
  await create("gone");
  expect((await fast.api("DELETE", "/api/v1/links/gone")).status).toBe(204);
});
afterAll(async () => {
  await Promise.all([fast?.kill("SIGKILL"), general?.kill("SIGKILL")]);
  await database?.drop();
});

async function create(code: string, more: object = {}): Promise<void> {
  const made = await fast.api("POST", "/api/v1/links", { url: `https://example.com/${code}`, code, ...more });
  expect(made.status).toBe(201);
}

interface Case {
  readonly name: string;
  readonly parts: readonly string[];
  readonly options?: ExchangeOptions;
}
const one = (name: string, ...parts: string[]): Case => ({ name, parts });

const CASES: readonly Case[] = [
  one("a redirect", get("known")),
  one("a redirect with another status", get("kept")),
  one("a query", get("known?utm_source=x&y")),
  one("HEAD", get("known").replace("GET", "HEAD")),
  one("HEAD of a code nobody has", get("nobody-has", LAST).replace("GET", "HEAD")),
  one("a code nobody has", get("nobody-has")),
  one("a code nobody has, for a browser", get("nobody-has", "Accept: text/html\r\n")),
  one("a link that is gone", get("gone")),
  one("a prefetch", get("known", "Sec-Purpose: prefetch\r\n")),
  one("the last request of a connection", get("known", LAST)),
  one("a code nobody has, as the last request", get("nobody-has", LAST)),
  one("a preview", get("known+", "Accept: text/html\r\n")),
  one("a call of the API", get("api/v1/links/known", AUTHORISED)),
  one("a path that is nothing", get("no/such/path")),
  one("POST to a code", `POST /known HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`),
  one("GET with a body", get("known", "Content-Length: 5\r\n") + "hello"),
  one("a body in chunks", `GET /known HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  one("HTTP/1.0", `GET /known HTTP/1.0\r\n\r\n`),
  one("an absolute target", `GET http://hop.test/known HTTP/1.1\r\n${HOST}\r\n`),
  one("a header twice", get("known", "User-Agent: curl/8.5.0\r\n")),
  one("a space before a colon", `GET /known HTTP/1.1\r\n${HOST}Content-Length : 5\r\n\r\n`),
  one("header names in lower case", `GET /known HTTP/1.1\r\nhost: hop.test\r\nuser-agent: x\r\n\r\n`),
  one("a head of 12 kB", get("known", `Cookie: ${"c".repeat(12_000)}\r\n`)),
  one("a head of 40 kB", get("known", `Cookie: ${"c".repeat(40_000)}\r\n`)),
  {
    name: "a request in two parts",
    parts: [get("known").slice(0, 30), get("known").slice(30)],
    options: { apart: true },
  },
  { name: "a request byte by byte", parts: get("known").split(""), options: { apart: true } },
];

test.each(CASES.map((each): [string, Case] => [each.name, each]))(
  "%s is answered as by the general server",
  async (_, { parts, options }) => {
    const [seen, expected] = await Promise.all([
      exchange(fast.url, parts, options),
      exchange(general.url, parts, options),
    ]);
    expect(expected.answers.length + Number(expected.closed)).toBeGreaterThan(0);
    expect(seen.answers.map(comparable)).toEqual(expected.answers.map(comparable));
    expect(seen.closed).toBe(expected.closed);
  },
);

/** Without what differs between any two answers. */
function comparable({ status, headers, body }: RawAnswer) {
  const ownHeaders = [...headers].filter(([name]) => !["x-request-id", "date", "connection"].includes(name));
  return { status, headers: Object.fromEntries(ownHeaders), body: withoutIds(body) };
}

function withoutIds(body: string): string {
  return body
    .replaceAll(/localhost:\d+/g, "HOST")
    .replace(/[0-9a-f]{12}-[0-9a-z]+/g, "ID")
    .replace(/"(updatedAt|clicks)":("[^"]*"|\d+)/g, "");
}

describe("on the fast path", () => {
  // The general server hangs up on a client that asks again before it has an answer that has to be waited for.
  test("requests that come at once, or with the half of another, are answered in order", async () => {
    const together = get("known") + get("nobody-has") + get("kept").repeat(50) + get("gone");
    const seen = await exchange(fast.url, [together + get("kept").slice(0, 9), get("kept").slice(9)], {
      answers: 54,
      apart: true,
    });
    const statuses = [302, 404, ...Array.from({ length: 50 }, () => 308), 410, 308];
    expect(seen.answers.map(({ status }) => status)).toEqual(statuses);
  });

  test("an answer has a date of now", async () => {
    const { answers } = await exchange(fast.url, [get("known")]);
    const date = Date.parse(answers[0]?.headers.get("date") ?? "");
    expect(Math.abs(Date.now() - date)).toBeLessThan(10_000);
  });

  test("a client that says it has no more to ask is answered", async () => {
    const { answers } = await exchange(fast.url, [get("known") + get("kept")], {
      halfCloses: true,
      answers: 2,
    });
    expect(answers.map(({ status }) => status)).toEqual([302, 308]);
  });

  test("a client that asks much and reads late gets every answer in order", async () => {
    const asked = 10_000;
    const codes = Array.from({ length: asked }, (_, number) => (number % 3 === 0 ? "kept" : "known"));
    const { answers } = await exchange(
      fast.url,
      [codes.map((code) => get(code).replace("GET", "HEAD")).join("")],
      {
        answers: asked,
        timeoutMs: 30_000,
        readsLate: true,
      },
    );
    expect(answers.map(({ headers }) => headers.get("location"))).toEqual(
      codes.map((code) => `https://example.com/${code}`),
    );
  });

  test("a large page is passed on whole to a client that reads late", async () => {
    const path = "api/docs/swagger-ui-bundle.js";
    const [seen, expected] = await Promise.all([
      exchange(fast.url, [get(path)], { readsLate: true }),
      fetch(`${general.url}/${path}`).then((answer) => answer.text()),
    ]);
    expect(expected.length).toBeGreaterThan(1_000_000);
    expect(seen.answers[0]?.body).toBe(expected);
  });

  test("a target that was put in by hand and is no header value is written in ASCII", async () => {
    await create("by-hand");
    await database.sql`UPDATE links SET target = ${"https://example.com/\u00e9 \r\nSet-Cookie: a=b"} WHERE code = 'by-hand'`;
    const location = await waitFor("the target to be heard of", async () => {
      const { answers } = await exchange(fast.url, [get("by-hand")]);
      expect(answers[0]?.headers.has("set-cookie")).toBe(false);
      const target = answers[0]?.headers.get("location");
      return target === "https://example.com/by-hand" ? undefined : target;
    });
    expect(location).toBe("https://example.com/%C3%A9%20%0D%0ASet-Cookie:%20a=b");
  });

  test("a visitor is the same one wherever the request was answered, and another address is another", async () => {
    for (const [code, url] of [
      ["seen-fast", fast.url],
      ["seen-general", general.url],
    ] as const) {
      await create(code);
      for (const from of ["127.0.0.1", "127.0.0.2"]) {
        const whole = exchange(url, [get(code)], { from });
        const passedOn = exchange(url, [get(code).slice(0, 30), get(code).slice(30)], { from, apart: true });
        for (const { answers } of await Promise.all([whole, passedOn])) expect(answers[0]?.status).toBe(302);
      }
      const shown = await fast.api("GET", `/api/v1/links/${code}/stats`);
      expect(await shown.json()).toMatchObject({ total: 4, unique: 2 });
    }
  });
});
