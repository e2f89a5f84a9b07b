// Migrations by real processes: once, forth and back, and never by accident.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { runHop } from "../helpers/hop-process.ts";
import { dumpSchema } from "../helpers/schema-dump.ts";

const NEWEST = "001";

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
    "up 1 first-light\n",
  ]);
});

test("up, down to nothing and up again gives the same schema, and an empty one in between", async () => {
  await migrate("up");
  const before = await dumpSchema(database.sql);
  expect(await migrate("down", "--to", "0")).toEqual({ code: 0, output: "down 1 first-light\n" });
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

test("status ends with 1 while a migration is missing and with 0 when none is", async () => {
  expect(await migrate("status")).toEqual({ code: 1, output: `${NEWEST}  missing  first-light\n` });
  expect(await remains()).toEqual([]);
  await migrate("up");
  expect(await migrate("status")).toEqual({ code: 0, output: `${NEWEST}  applied  first-light\n` });
  await migrate("down", "--to", "0");
  expect((await migrate("status")).code).toBe(1);
});

test("down never goes up", async () => {
  expect(await migrate("down", "--to", "1")).toEqual({ code: 0, output: "nothing to do\n" });
  expect(await remains()).toEqual([]);
  await migrate("up");
  expect(await migrate("down", "--to", "1")).toEqual({ code: 0, output: "nothing to do\n" });
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

test("a database that cannot be reached ends with 1 and one line", async () => {
  database.proxy.setMode("refuse");
  expect(await migrate("up")).toEqual({
    code: 1,
    output: "hop: The database cannot be reached now; try again.\n",
  });
});
