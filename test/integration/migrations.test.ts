// Migrations by real processes: once, forth and back, and never by accident.
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { PostgresClickReader } from "../../src/storage/postgres/click-reader.ts";
import { PostgresRollup } from "../../src/storage/postgres/rollup.ts";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { runHop } from "../helpers/hop-process.ts";
import { dumpSchema } from "../helpers/schema-dump.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database.drop());

const migrate = (...command: string[]) => runHop(["migrate", ...command], { HOP_DATABASE_URL: database.url });

/** What hop made in the database, the list of migrations apart. */
async function remains(): Promise<string[]> {
  const rows = await database.sql<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'hop_migrations%'
    UNION ALL
    SELECT p.proname FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')`;
  return rows.map((row) => row.name);
}

test("ten processes that start at once migrate once", async () => {
  const runs = await Promise.all(Array.from({ length: 10 }, () => migrate("up")));
  expect(runs.map((run) => run.code)).toEqual(runs.map(() => 0));
  expect(runs.map((run) => run.output).toSorted()).toEqual([
    ...Array.from({ length: 9 }, () => "nothing to do\n"),
    "up 1 first-light\nup 2 click-pipeline\nup 3 link-versions\nup 4 batch-ranges\n",
  ]);
});

test("up, down to nothing and up again gives the same schema, and an empty one in between", async () => {
  await migrate("up");
  const before = await dumpSchema(database.sql);
  expect(await migrate("down", "--to", "0")).toEqual({
    code: 0,
    output: "down 4 batch-ranges\ndown 3 link-versions\ndown 2 click-pipeline\ndown 1 first-light\n",
  });
  expect(await remains()).toEqual([]);
  expect((await migrate("up")).output).toContain("up 1 ");
  expect(await dumpSchema(database.sql)).toBe(before);
});

test("down also works on a database that is in use", async () => {
  await migrate("up");
  await database.sql`INSERT INTO links (code, target) VALUES ('used', 'https://example.com/')`;
  await database.sql`CREATE TABLE clicks_20300101 PARTITION OF clicks FOR VALUES FROM ('2030-01-01') TO ('2030-01-02')`;
  expect((await migrate("down", "--to", "0")).code).toBe(0);
  expect(await remains()).toEqual([]);
});

test("clicks of the first version survive the way up, down and up again", async () => {
  await migrate("up");
  await migrate("down", "--to", "1");
  const { sql } = database;
  await sql`
    INSERT INTO click_batches (producer, seq, clicks, first_at, last_at, rolled_up)
    SELECT '00000000-0000-0000-0000-000000000001', n, 2, '2024-02-28 10:00Z', '2024-02-28 11:00Z', n = 1
    FROM generate_series(1, 2) AS n`;
  await sql`INSERT INTO link_hours VALUES (1, '2024-02-28 10:00Z', 1, 0), (1, '2024-02-28 11:00Z', 1, 1)`;
  await sql`
    INSERT INTO clicks (link_id, at, visitor, country, referrer, browser, os, device, language, bot, batch)
    SELECT 1, '2024-02-28 10:00Z'::timestamptz + number * interval '1 hour', number, 'DE', 'a.example', 'Firefox', 'Linux',
      'desktop', 'de', number = 1, id
    FROM click_batches, generate_series(0, 1) AS number`;
  const before =
    await sql`SELECT link_id, at, visitor, country, referrer, browser, os, device, language, bot FROM clicks ORDER BY at`;
  const converted = async () => {
    await new PostgresRollup(sql).rollUpDimensions(100, "patient");
    const reader = new PostgresClickReader(sql);
    expect(judgeLedger(await reader.ledgerFacts())).toMatchObject({
      verdict: "balanced",
      storedClicks: 4,
      sortedClicks: 4,
    });
    const fromMs = Date.parse("2024-02-28");
    const query = {
      fromMs,
      toMs: fromMs + 86_400_000,
      interval: "day",
      by: "os",
      bots: "exclude",
      topLimit: 5,
    } as const;
    expect(await reader.statsFacts(1, query)).toMatchObject({
      buckets: [{ clicks: 2, unique: 1 }],
      top: [{ value: "Linux", clicks: 2 }],
    });
  };
  await migrate("up");
  await converted();
  await migrate("down", "--to", "1");
  const after =
    await sql`SELECT link_id, at, visitor, country, referrer, browser, os, device, language, bot FROM clicks ORDER BY at`;
  expect([...after]).toEqual([...before]);
  await migrate("up");
  await converted();
});

test("ranges of batches are batches again on the way down, and have as many clicks", async () => {
  await migrate("up");
  const { sql } = database;
  const producer = "00000000-0000-0000-0000-000000000001";
  await sql`INSERT INTO click_ranges VALUES (${producer}, 2, 4, 8)`;
  // What a merge left behind that was ended half-way.
  await sql`INSERT INTO click_batches (producer, seq, clicks) VALUES (${producer}, 1, 7), (${producer}, 3, 5)`;
  await migrate("down", "--to", "3");
  expect([...(await sql`SELECT seq, clicks FROM click_batches ORDER BY seq`)]).toEqual([
    { seq: 1, clicks: 7 },
    { seq: 2, clicks: 3 },
    { seq: 3, clicks: 3 },
    { seq: 4, clicks: 2 },
  ]);
});

test("status ends with 1 while a migration is missing and with 0 when none is", async () => {
  expect(await migrate("status")).toEqual({
    code: 1,
    output:
      "001  missing  first-light\n002  missing  click-pipeline\n003  missing  link-versions\n004  missing  batch-ranges\n",
  });
  expect(await remains()).toEqual([]);
  await migrate("up");
  expect(await migrate("status")).toEqual({
    code: 0,
    output:
      "001  applied  first-light\n002  applied  click-pipeline\n003  applied  link-versions\n004  applied  batch-ranges\n",
  });
  await migrate("down", "--to", "0");
  expect((await migrate("status")).code).toBe(1);
});

test("down never goes up", async () => {
  expect(await migrate("down", "--to", "1")).toEqual({ code: 0, output: "nothing to do\n" });
  expect(await remains()).toEqual([]);
  await migrate("up");
  expect(await migrate("down", "--to", "4")).toEqual({ code: 0, output: "nothing to do\n" });
  expect(await migrate("down", "--to", "99")).toEqual({ code: 0, output: "nothing to do\n" });
  expect((await migrate("status")).code).toBe(0);
});

test("a schema that a newer hop made is left as it is", async () => {
  await migrate("up");
  await database.sql`INSERT INTO hop_migrations (version, name, md5, run_at) VALUES (900, 'later', '', now())`;
  const before = await dumpSchema(database.sql);
  expect(await migrate("up")).toEqual({ code: 0, output: "nothing to do\n" });
  expect(await dumpSchema(database.sql)).toBe(before);
});

test("a database that cannot be reached ends with 1 and one line that says why", async () => {
  database.proxy.setMode("refuse");
  expect(await migrate("up")).toEqual({
    code: 1,
    output: expect.stringMatching(
      /^hop: The database cannot be reached now; try again\. \(.*ECONNRESET.*\)\n$/,
    ) as string,
  });
});
