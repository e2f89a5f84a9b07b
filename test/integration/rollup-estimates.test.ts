// Rounds of totals and dimensions read each row a few times at most, also where Postgres believes that there is none.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import type { Queryable } from "../../src/storage/postgres/database.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { createPartitions } from "../../src/storage/postgres/partitions.ts";
import { addDimensions, addTotals } from "../../src/storage/postgres/rollup.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";

const ROWS = 1_000;
/** By how a row is found, deleted and checked. */
const READS_A_ROW = 4;

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
  await createPartitions(database.sql, Date.now());
});
afterEach(() => database.drop());

/** `table` as it is after its rows were taken and vacuumed away while its file could not be shortened. */
async function believedEmpty(table: "click_queue" | "rollup_rounds"): Promise<void> {
  const { sql } = database;
  await sql.unsafe(`DELETE FROM ${table}`);
  await sql.unsafe(`VACUUM (ANALYZE, TRUNCATE false) ${table}`);
  const [stats] = await sql<
    { tuples: number; pages: number }[]
  >`SELECT reltuples AS tuples, relpages AS pages FROM pg_class WHERE relname = ${table}`;
  expect(stats?.tuples).toBe(0);
  expect(stats?.pages).toBeGreaterThan(0);
}

async function queueBatches(): Promise<void> {
  const store = new PostgresClickStore(database.sql);
  const producer = aProducer();
  const batches = Array.from({ length: ROWS }, (_, index) => ({
    producer,
    seq: index + 1,
    clicks: [aClick({ atMs: Date.now() })],
  }));
  // One call for all would make one row of them.
  await Promise.all(batches.map((batch) => store.storeBatches([batch])));
}

/** Of `table`, or of all tables whose name begins with it where that ends in %. */
async function readsOf(table: string, round: (sql: Queryable) => Promise<number>): Promise<number> {
  return database.sql.begin(async (sql) => {
    // Postgres adds what the same connection read in earlier transactions and has not reported yet.
    const before = await readsSoFar(sql, table);
    expect(await round(sql)).toBe(ROWS);
    return (await readsSoFar(sql, table)) - before;
  });
}

async function readsSoFar(sql: Queryable, table: string): Promise<number> {
  const [counted] = await sql<{ reads: number }[]>`
    SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint AS reads
    FROM pg_stat_xact_user_tables WHERE relname LIKE ${table}`;
  return counted?.reads ?? Number.NaN;
}

test("totals of a queue that Postgres believes to be empty", async () => {
  await queueBatches();
  await believedEmpty("click_queue");
  await queueBatches();
  expect(await readsOf("click_queue", (sql) => addTotals(sql, ROWS, "patient"))).toBeLessThan(
    READS_A_ROW * ROWS,
  );
});

test("dimensions of rounds that Postgres believes not to exist", async () => {
  const makeRounds = async () => {
    await queueBatches();
    for (let round = 0; round < ROWS; round++) expect(await addTotals(database.sql, 1, "patient")).toBe(1);
  };
  await makeRounds();
  await believedEmpty("rollup_rounds");
  await makeRounds();
  expect(await readsOf("rollup_rounds", (sql) => addDimensions(sql, ROWS, "patient"))).toBeLessThan(
    READS_A_ROW * ROWS,
  );
});

test("dimensions of a round among many clicks of earlier ones, of which Postgres knows nothing", async () => {
  const { sql } = database;
  const earlier = 100_000;
  await sql`
    INSERT INTO clicks (link_id, at, visitor, profile, round) SELECT 1, now(), 1, 1, 0 FROM generate_series(1, ${earlier})`;
  // As autovacuum does it, at some time.
  await sql`
    SELECT brin_summarize_new_values(indexrelid) FROM pg_index WHERE indrelid IN (
      SELECT inhrelid FROM pg_inherits WHERE inhparent = 'clicks'::regclass)`;
  await queueBatches();
  expect(await addTotals(sql, ROWS, "patient")).toBe(ROWS);
  expect(await readsOf("clicks\\_2%", (each) => addDimensions(each, ROWS, "patient"))).toBeLessThan(earlier);
});
