// What a pool owes its users when connections are cut: every question ends, no transaction is torn, and the pool works on.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { withDeadline } from "../../src/lib/deadline.ts";
import { asking, type Database, openDatabase } from "../../src/storage/postgres/database.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { faultTest, type Random } from "../helpers/fault-test.ts";
import { waitFor } from "../helpers/wait-for.ts";

/** More than any statement here takes; a question that is not answered by then never will be. */
const DEADLINE_MS = 15_000;
const CONNECTIONS = 2;
const ASKERS = 6;

let database: TestDatabase;
let sql: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql`CREATE TABLE halves (id uuid, half int)`;
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.sql`TRUNCATE halves`;
});

function open(connections: number, statementTimeoutMs = DEADLINE_MS): Database {
  return openDatabase({
    address: { url: database.url },
    connections,
    statementTimeoutMs,
    applicationName: "test",
  });
}

async function cut(): Promise<void> {
  const before = database.proxy.connections;
  expect(before).toBeGreaterThan(0);
  database.proxy.cut();
  await waitFor("the connections to be gone", () => database.proxy.connections === 0);
}

test("a transaction that is cut in a statement ends, and the next ones on its connection run", async () => {
  sql = open(1);
  const statement = Promise.withResolvers<void>();
  const lost = sql.begin(async (tx) => {
    await tx`SELECT 1`;
    statement.resolve();
    await tx`SELECT pg_sleep(60)`;
  });
  const failure = lost.catch((error: unknown) => error);
  await statement.promise;
  await cut();
  expect(await withDeadline(failure, DEADLINE_MS, "the lost transaction")).toBeInstanceOf(Error);
  for (let number = 1; number <= 3; number++) {
    const answer = sql.begin(
      async (tx) => (await tx<{ number: number }[]>`SELECT ${number}::int AS number`)[0],
    );
    expect(await withDeadline(answer, DEADLINE_MS, `transaction ${number}`)).toEqual({ number });
  }
  await sql.end();
});

test("what a transaction says after it was cut is refused, and never said in the transaction that got its connection", async () => {
  sql = open(1);
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const late = Promise.withResolvers<unknown>();
  const lost = sql.begin(async (tx) => {
    await tx`SELECT 1`;
    begun.resolve();
    await goOn.promise;
    const answer = tx`INSERT INTO halves VALUES (gen_random_uuid(), 1)`.then(
      () => "said",
      (error: unknown) => error,
    );
    late.resolve(await answer);
  });
  const failure = lost.catch((error: unknown) => error);
  await begun.promise;
  await cut();
  await withDeadline(failure, DEADLINE_MS, "the lost transaction");
  await sql.begin(async (tx) => {
    await tx`SELECT 1`;
    goOn.resolve();
    expect(await withDeadline(late.promise, DEADLINE_MS, "the late statement")).toBeInstanceOf(Error);
    await tx`SELECT 1`;
  });
  expect(await database.sql`SELECT FROM halves`).toHaveLength(0);
  await sql.end();
});

test("the first question after the server ended a session is not answered with that session's error", async () => {
  sql = open(1);
  const statement = Promise.withResolvers<number>();
  const lost = sql.begin(async (tx) => {
    const [backend] = await tx<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    statement.resolve(backend?.pid ?? 0);
    await tx`SELECT pg_sleep(60)`;
  });
  const failure = lost.catch((error: unknown) => error);
  await database.sql`SELECT pg_terminate_backend(${await statement.promise})`;
  expect(await withDeadline(failure, DEADLINE_MS, "the ended transaction")).toBeInstanceOf(Error);
  const [answer] = await withDeadline(sql<{ one: number }[]>`SELECT 1 AS one`, DEADLINE_MS, "a question");
  expect(answer).toEqual({ one: 1 });
  await sql.end();
});

test("a transaction in which nothing is said for the statement timeout is ended, and its locks are free", async () => {
  sql = open(1, 200);
  const { promise: never } = Promise.withResolvers<void>();
  const frozen = sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(4711)`;
    await never;
  });
  const failure = frozen.catch((error: unknown) => error);
  expect(await withDeadline(failure, DEADLINE_MS, "the frozen transaction")).toMatchObject({
    code: "CONNECTION_CLOSED",
  });
  const [lock] = await database.sql<{ free: boolean }[]>`SELECT pg_try_advisory_lock(4711) AS free`;
  expect(lock).toEqual({ free: true });
  await sql.end();
});

test("a server that hangs up at once is a refusal, and is called again only after a pause", async () => {
  let calls = 0;
  using server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        calls++;
        socket.end();
      },
      data: () => undefined,
    },
  });
  const address = { url: `postgres://nobody:secret@127.0.0.1:${server.port}/nothing` };
  const pool = openDatabase({ address, connections: 1, statementTimeoutMs: 1_000, applicationName: "test" });
  const startedAtMs = performance.now();
  for (let number = 1; number <= 5; number++) {
    const answer = withDeadline(pool`SELECT 1`, DEADLINE_MS, "a question").catch((error: unknown) => error);
    expect(await answer).toMatchObject({ code: "CONNECTION_CLOSED" });
  }
  expect(calls).toBe(5);
  // 0.2, 0.4, 0.8 and 1 s; timers may come a little early.
  expect(performance.now() - startedAtMs).toBeGreaterThan(2_000);
  await pool.end();
});

faultTest(
  "a pool whose connections are cut at any moment answers or refuses every question, keeps transactions whole, and works on",
  { few: 10, full: 500 },
  async ({ rounds, random, begin }) => {
    sql = open(CONNECTIONS);
    let [answered, refused] = [0, 0];
    const stopping = new AbortController();
    const unexpected: unknown[] = [];
    const ask = async (choices: Random) => {
      while (!stopping.signal.aborted) {
        const question = choices.next() < 0.5 ? transaction(sql, choices) : statement(sql, choices);
        try {
          await withDeadline(
            asking(sql, () => question),
            DEADLINE_MS,
            "a question",
          );
          answered++;
        } catch (error) {
          if (!(error instanceof Error) || !error.message.startsWith("The database cannot be reached"))
            unexpected.push(error);
          refused++;
          await Bun.sleep(1);
        }
      }
    };
    const askers = Array.from({ length: ASKERS }, () => ask(random.fork()));
    for (let round = 1; round <= rounds; round++) {
      begin(round, "cut");
      const enough = answered + random.integer(1, 60);
      await waitFor("questions to be answered", () => answered >= enough, { everyMs: 1 });
      database.proxy.cut();
    }
    stopping.abort();
    await Promise.all(askers);
    expect(unexpected).toEqual([]);
    // Each connection by itself: one that is stuck would keep its transaction waiting.
    const arrived = Promise.withResolvers<void>();
    let inside = 0;
    const together = Array.from({ length: CONNECTIONS }, () =>
      sql.begin(async (tx) => {
        await tx`SELECT 1`;
        if (++inside === CONNECTIONS) arrived.resolve();
        await arrived.promise;
        await tx`SELECT 1`;
      }),
    );
    await withDeadline(Promise.all(together), DEADLINE_MS, "all connections");
    const torn = await database.sql`SELECT id FROM halves GROUP BY id HAVING count(*) <> 2`;
    expect(torn).toHaveLength(0);
    await sql.end();
    expect(refused).toBeGreaterThan(0);
    return `${answered} questions answered, ${refused} refused`;
  },
);

/** Two halves, with a moment between them in which nothing is asked. */
async function transaction(pool: Database, choices: Random): Promise<void> {
  const id = crypto.randomUUID();
  const restMs = choices.integer(0, 2);
  await pool.begin(async (tx) => {
    await tx`INSERT INTO halves VALUES (${id}, 1)`;
    if (restMs > 0) await Bun.sleep(restMs);
    await tx`INSERT INTO halves VALUES (${id}, 2)`;
  });
}

async function statement(pool: Database, choices: Random): Promise<void> {
  const length = choices.pick([1, 2_000]);
  await pool`SELECT ${"x".repeat(length)}::text, pg_sleep(${choices.integer(0, 1) / 1_000})`;
}
