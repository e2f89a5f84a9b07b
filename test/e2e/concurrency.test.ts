// Many creates at once: a code has one owner, a key makes one link, and a full code space grows.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type LinkAnswer, read, readProblem } from "../helpers/answers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";
import { waitFor } from "../helpers/wait-for.ts";

const LINKS = "/api/v1/links";
const TARGET = "https://example.com/concurrent";
const COLLISIONS = "hop_code_collisions_total";

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

/** The same request many times, all of them on their way before the first answer. */
function atOnce(times: number, body: object, headers: Record<string, string> = {}): Promise<Response[]> {
  return Promise.all(Array.from({ length: times }, () => hop.api("POST", LINKS, body, headers)));
}

function withKey(key: string): Record<string, string> {
  return { "Idempotency-Key": key };
}

async function linksTo(url: string): Promise<number> {
  const [row] = await database.sql<{ links: number }[]>`
    SELECT count(*) AS links FROM links WHERE target = ${url}`;
  return row?.links ?? 0;
}

test("of 64 simultaneous creates of one code one gets it and 63 are told that it is taken", async () => {
  const answers = await atOnce(64, { url: TARGET, code: "contested" });
  const winners = answers.filter((answer) => answer.status === 201);
  expect(winners).toHaveLength(1);
  for (const loser of answers.filter((answer) => answer.status !== 201)) {
    const problem = await readProblem(loser, 409, "CODE_TAKEN");
    expect(problem.errors?.map((error) => error.path)).toEqual(["code"]);
  }
  expect(await linksTo(TARGET)).toBe(1);
});

test("of 64 simultaneous creates with different targets the redirect goes to the winner's", async () => {
  const answers = await Promise.all(
    Array.from({ length: 64 }, (_, n) => hop.api("POST", LINKS, { url: `${TARGET}/${n}`, code: "raced" })),
  );
  const [winner] = answers.filter((answer) => answer.status === 201);
  const { url } = await read<LinkAnswer>(winner ?? Response.error(), 201);
  const redirected = await fetch(`${hop.url}/raced`, { redirect: "manual" });
  expect(redirected.headers.get("location")).toBe(url);
});

test("an upper-case code and a lower-case code are two links", async () => {
  const answers = await Promise.all(
    ["Cased", "cased"].map((code) => hop.api("POST", LINKS, { url: TARGET, code })),
  );
  expect(answers.map((answer) => answer.status)).toEqual([201, 201]);
});

describe("an Idempotency-Key", () => {
  test("makes one link of 200 simultaneous creates, and 200 equal answers", async () => {
    const body = {
      url: `${TARGET}/once`,
      title: "once",
      tags: ["a", "b"],
      expiresAt: "2090-01-01T00:00:00Z",
    };
    const answers = await atOnce(200, body, withKey("simultaneous"));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
    expect(new Set(answers.map((answer) => answer.headers.get("location"))).size).toBe(1);
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(texts).size).toBe(1);
    expect(await linksTo(body.url)).toBe(1);
  });

  test("gives the same answer after the link was used, changed and deleted", async () => {
    const body = { url: `${TARGET}/replayed` };
    const first = await (await hop.api("POST", LINKS, body, withKey("replayed"))).text();
    const { code } = JSON.parse(first) as LinkAnswer;
    await fetch(`${hop.url}/${code}`, { redirect: "manual" });
    await read(hop.api("PATCH", `${LINKS}/${code}`, { title: "changed" }), 200);
    expect(await (await hop.api("POST", LINKS, body, withKey("replayed"))).text()).toBe(first);
    expect((await hop.api("DELETE", `${LINKS}/${code}`)).status).toBe(204);
    expect(await (await hop.api("POST", LINKS, body, withKey("replayed"))).text()).toBe(first);
    expect(await linksTo(body.url)).toBe(1);
  });

  test("gives the same answer after the link's own end", async () => {
    const expiresAt = new Date(Date.now() + 2_000).toISOString();
    const body = { url: `${TARGET}/ended`, expiresAt };
    const first = await (await hop.api("POST", LINKS, body, withKey("ended"))).text();
    const { code } = JSON.parse(first) as LinkAnswer;
    await waitFor("the link to end", async () => {
      const answer = await fetch(`${hop.url}/${code}`, { redirect: "manual" });
      return answer.status === 410;
    });
    expect(await (await hop.api("POST", LINKS, body, withKey("ended"))).text()).toBe(first);
  });

  test("with another body is refused and makes nothing", async () => {
    await read(hop.api("POST", LINKS, { url: `${TARGET}/first` }, withKey("reused")), 201);
    const other = hop.api("POST", LINKS, { url: `${TARGET}/second` }, withKey("reused"));
    await readProblem(other, 422, "IDEMPOTENCY_MISMATCH");
    expect(await linksTo(`${TARGET}/second`)).toBe(0);
  });

  test("is the same whatever the order and the spaces of the body", async () => {
    const answers = await Promise.all(
      [
        { url: `${TARGET}/order`, title: "t" },
        { title: " t ", url: `${TARGET}/order`, status: 302 },
      ].map((body) => hop.api("POST", LINKS, body, withKey("order"))),
    );
    const [one, two] = await Promise.all(answers.map((answer) => read<LinkAnswer>(answer, 201)));
    expect(one).toEqual(two as LinkAnswer);
  });

  test("is not used up by a create that failed", async () => {
    await read(hop.api("POST", LINKS, { url: TARGET, code: "occupied" }), 201);
    const failed = () => hop.api("POST", LINKS, { url: TARGET, code: "occupied" }, withKey("burned"));
    await readProblem(failed(), 409, "CODE_TAKEN");
    await readProblem(hop.api("POST", LINKS, { url: "nonsense" }, withKey("burned")), 422, "INVALID");
    await read(hop.api("POST", LINKS, { url: TARGET, code: "still-free" }, withKey("burned")), 201);
    await readProblem(failed(), 422, "IDEMPOTENCY_MISMATCH");
  });

  test("of 20 simultaneous creates that fail is not used up either", async () => {
    const answers = await atOnce(20, { url: TARGET, code: "occupied" }, withKey("burned-at-once"));
    for (const answer of answers) await readProblem(answer, 409, "CODE_TAKEN");
    await read(hop.api("POST", LINKS, { url: TARGET }, withKey("burned-at-once")), 201);
  });

  test("counts its link once", async () => {
    const before = await hop.metric("hop_links_created_total");
    for (let time = 0; time < 3; time++) await atOnce(2, { url: `${TARGET}/counted` }, withKey("counted"));
    expect(await hop.metric("hop_links_created_total")).toBe(before + 1);
  });
});

describe("when generated codes collide", () => {
  test("codes grow by a character, every create succeeds, and the collisions are counted", async () => {
    const fresh = await createTestDatabase();
    const small = await startHop({ HOP_DATABASE_URL: fresh.url, HOP_CODE_LENGTH: "1" });
    try {
      const lengths = new Set<number>();
      for (let round = 0; round < 6; round++) {
        const answers = await Promise.all(
          Array.from({ length: 20 }, () => small.api("POST", LINKS, { url: TARGET })),
        );
        for (const answer of answers) lengths.add((await read<LinkAnswer>(answer, 201)).code.length);
      }
      expect(lengths).toContain(1);
      expect(lengths).toContain(2);
      expect(await small.metric(COLLISIONS)).toBeGreaterThan(0);
      expect(await small.metric("hop_links_created_total")).toBe(120);
    } finally {
      await small.kill("SIGKILL");
      await fresh.drop();
    }
  });

  test.each(["1", "3"])(
    "a create that finds none free in %s draws is refused for now; codes grow",
    async (draws) => {
      const fresh = await createTestDatabase();
      const tiny = await startHop({
        HOP_DATABASE_URL: fresh.url,
        HOP_CODE_ALPHABET: "ab",
        HOP_CODE_LENGTH: "1",
        HOP_CODE_ATTEMPTS: draws,
      });
      try {
        for (const code of ["a", "b"]) await read(tiny.api("POST", LINKS, { url: TARGET, code }), 201);
        await readProblem(tiny.api("POST", LINKS, { url: TARGET }), 503, "TEMPORARILY_UNAVAILABLE");
        expect(await tiny.metric(COLLISIONS)).toBe(Number(draws));
        const { code } = await read<LinkAnswer>(tiny.api("POST", LINKS, { url: TARGET }), 201);
        expect(code).toMatch(/^[ab]{2}$/);
      } finally {
        await tiny.kill("SIGKILL");
        await fresh.drop();
      }
    },
  );
});
