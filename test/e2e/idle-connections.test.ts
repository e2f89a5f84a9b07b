// What HOP_IDLE_TIMEOUT_SECONDS closes, and what it must not: the shortest that may be set shows both soonest.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { AUTHORISED } from "../helpers/hostile-case.ts";
import { type HopProcess, startHop } from "../helpers/hop-process.ts";
import { bytesOf, exchange, sendRaw } from "../helpers/raw-http.ts";

const IDLE_MS = 1_000;
/** Bun closes silent connections every 4 s, all that are due at once: a moment of each kind is within. */
const OBSERVED_MS = 5_000;
/** More than two of those moments. */
const SLOW_ANSWER_MS = 9_000;
const CLOSED_WITHIN_MS = 15_000;

const LIST = { path: "/api/v1/links", headers: [AUTHORISED] } as const;

let database: TestDatabase;
let hop: HopProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({
    HOP_DATABASE_URL: database.url,
    HOP_IDLE_TIMEOUT_SECONDS: String(IDLE_MS / 1_000),
    HOP_STATEMENT_TIMEOUT_MS: String(SLOW_ANSWER_MS),
  });
});
afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

/** Milliseconds until hop closed a connection on which nothing more was said. @param said nothing, or a request that keeps it alive */
function silence(said: string): Promise<number> {
  const { hostname, port } = new URL(hop.url);
  return new Promise((resolve, reject) => {
    // No later than hop can have heard the last of it.
    const startedAtMs = performance.now();
    const socket = connect(Number(port), hostname);
    const hung = setTimeout(() => {
      socket.destroy();
      reject(new Error(`a silent connection was not closed within ${CLOSED_WITHIN_MS} ms`));
    }, CLOSED_WITHIN_MS);
    socket.on("connect", () => {
      if (said !== "") socket.write(said);
    });
    socket.on("data", () => undefined);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(hung);
      resolve(performance.now() - startedAtMs);
    });
  });
}

test("at whatever moment a request comes on a new connection, it is answered, and silent connections are kept for HOP_IDLE_TIMEOUT_SECONDS", async () => {
  const passedOn = Buffer.from(bytesOf(LIST)).toString("latin1").replace("Connection: close\r\n", "");
  const silences: Promise<number>[] = [];
  const startedAtMs = performance.now();
  let answered = 0;
  await Promise.all(
    [1, 2, 3].map(async () => {
      while (performance.now() - startedAtMs < OBSERVED_MS) {
        const { answers } = await exchange(hop.url, [bytesOf(LIST)]);
        expect(answers.map(({ status }) => status)).toEqual([200]);
        if (answered++ % 20 === 0) silences.push(silence(""), silence(passedOn));
      }
    }),
  );
  const shortest = Math.min(...(await Promise.all(silences)));
  expect(silences.length).toBeGreaterThan(20);
  expect(shortest).toBeGreaterThanOrEqual(IDLE_MS);
});

test("an answer that takes longer than HOP_IDLE_TIMEOUT_SECONDS is waited for", async () => {
  const locked = Promise.withResolvers<void>();
  const unlock = Promise.withResolvers<void>();
  const lock = database.sql.begin(async (sql) => {
    await sql`LOCK TABLE links IN ACCESS EXCLUSIVE MODE`;
    locked.resolve();
    await unlock.promise;
  });
  try {
    await locked.promise;
    const askedAtMs = performance.now();
    const answer = await exchange(hop.url, [bytesOf(LIST)], { timeoutMs: 2 * SLOW_ANSWER_MS });
    expect(performance.now() - askedAtMs).toBeGreaterThan(SLOW_ANSWER_MS - 5);
    expect(answer.answers.map(({ status }) => status)).toEqual([503]);
  } finally {
    unlock.resolve();
    await lock;
  }
  expect((await sendRaw(hop.url, LIST)).status).toBe(200);
});
