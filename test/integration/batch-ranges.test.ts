// Batches that became ranges: stored once however often and late they come again, and the ledger says of them what it said before.
import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ClickBatch, Producer } from "../../src/clicks/click.ts";
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { mergeBatches } from "../../src/storage/postgres/batch-ranges.ts";
import { PostgresClickReader } from "../../src/storage/postgres/click-reader.ts";
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import { type Database, openDatabase } from "../../src/storage/postgres/database.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { createPartitions } from "../../src/storage/postgres/partitions.ts";
import { PostgresRollup } from "../../src/storage/postgres/rollup.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { waitFor } from "../helpers/wait-for.ts";

/** Holds what every statement that stores holds. */
const STORING = "LOCK TABLE click_batches IN ROW EXCLUSIVE MODE";
const RUNS = process.env["TEST_ROUNDS"] === "full" ? 200 : 10;

let database: TestDatabase;
let store: PostgresClickStore;

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
  await createPartitions(database.sql, Date.now());
  store = new PostgresClickStore(database.sql);
});
afterEach(() => database.drop());

function batch(producer: Producer, seq: number, clicks = 2): ClickBatch {
  return {
    producer,
    seq,
    clicks: Array.from({ length: clicks }, () => aClick({ linkId: seq, atMs: Date.now() })),
  };
}

function batches(producer: Producer, ...seqs: number[]): ClickBatch[] {
  return seqs.map((seq) => batch(producer, seq));
}

async function ranges(): Promise<string[]> {
  const rows = await database.sql<{ range: string }[]>`
    SELECT concat_ws(' ', first, last, clicks) AS range FROM click_ranges ORDER BY producer, first`;
  return rows.map(({ range }) => range);
}

async function rows(): Promise<number[]> {
  const found = await database.sql<{ seq: number }[]>`SELECT seq FROM click_batches ORDER BY seq`;
  return found.map(({ seq }) => seq);
}

async function ledger() {
  const rollup = new PostgresRollup(database.sql);
  await rollup.rollUpTotals(1_000_000, "patient");
  await rollup.rollUpDimensions(1_000_000, "patient");
  return judgeLedger(await new PostgresClickReader(database.sql).ledgerFacts());
}

/** A transaction that others wait for until it is let go, and then undone. */
async function holding(sql: Database, statement: string): Promise<() => Promise<void>> {
  const begun = Promise.withResolvers<void>();
  const letGo = Promise.withResolvers<void>();
  const undone = sql
    .begin(async (transaction) => {
      await transaction.unsafe(statement);
      begun.resolve();
      await letGo.promise;
      throw new Error("undone");
    })
    .catch(() => undefined);
  await begun.promise;
  return async () => {
    letGo.resolve();
    await undone;
  };
}

test("a thousand batches are one row, and none of them is stored again, alone, together or among new ones", async () => {
  const producer = aProducer();
  const all = Array.from({ length: 1_000 }, (_, index) => batch(producer, index + 1, 1));
  await store.storeBatches(all);
  expect(await mergeBatches(database.sql, 0)).toBe(1_000);
  expect([await rows(), await ranges()]).toEqual([[], ["1 1000 1000"]]);
  expect(await store.storeBatches(batches(producer, 500))).toBe(0);
  expect(await store.storeBatches(all)).toBe(0);
  expect(await store.storeBatches(batches(producer, 999, 1_000, 1_001, 1_002))).toBe(4);
  expect(await mergeBatches(database.sql, 0)).toBe(2);
  expect(await ranges()).toEqual(["1 1002 1004"]);
  expect(await ledger()).toMatchObject({ verdict: "balanced", batchClicks: 1_004, storedClicks: 1_004 });
});

test("batches that were stored lately stay as they are", async () => {
  await store.storeBatches(batches(aProducer(), 1, 2));
  expect(await mergeBatches(database.sql, 60_000)).toBe(0);
  expect([await rows(), await ranges()]).toEqual([[1, 2], []]);
});

test("numbers that are missing are named, and the batch that comes late after all closes its gap", async () => {
  const [one, other] = [aProducer(), aProducer()];
  await store.storeBatches([...batches(one, 1, 2, 3, 5, 6, 9), ...batches(other, 2)]);
  await store.closeProducer(one, 11, {});
  const before = await ledger();
  expect(before.producers.find(({ id }) => id === one.id)).toMatchObject({
    batches: 6,
    clicks: 12,
    maxSeq: 9,
    missing: [4, 7, 8, 10, 11],
  });
  expect(before.producers.find(({ id }) => id === other.id)?.missing).toEqual([1]);
  await mergeBatches(database.sql, 0);
  expect(await ledger()).toEqual(before);
  expect(await store.storeBatches(batches(one, 3, 4))).toBe(2);
  await mergeBatches(database.sql, 0);
  expect((await ranges()).toSorted()).toEqual(["1 6 12", "2 2 2", "9 9 2"]);
  const after = await ledger();
  expect(after.producers.find(({ id }) => id === one.id)?.missing).toEqual([7, 8, 10, 11]);
  expect(after.reasons).toHaveLength(2);
});

test("of a billion missing numbers the first are named at once", async () => {
  const producer = aProducer();
  await store.storeBatches(batches(producer, 1, 1_000_000_000));
  await mergeBatches(database.sql, 0);
  const { producers } = await ledger();
  expect(producers[0]?.missing).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test("a merge that is ended before its rows are deleted counts nothing twice, and the next one goes on", async () => {
  const producer = aProducer();
  await store.storeBatches(batches(producer, 1, 2, 3));
  const letGo = await holding(database.sql, STORING);
  const stopping = new AbortController();
  const merging = mergeBatches(database.sql, 0, stopping.signal);
  await waitFor("the range", async () => (await ranges()).length > 0);
  stopping.abort();
  expect(await merging).toBe(0);
  expect([await rows(), await ranges()]).toEqual([[1, 2, 3], ["1 3 6"]]);
  expect(await ledger()).toMatchObject({ verdict: "balanced", batchClicks: 6 });
  expect(await store.storeBatches(batches(producer, 2))).toBe(0);
  await letGo();
  expect(await mergeBatches(database.sql, 0)).toBe(3);
  expect([await rows(), await ranges()]).toEqual([[], ["1 3 6"]]);
});

test("a batch that began to be stored again before it was merged, and ends after, is not stored twice", async () => {
  const producer = aProducer();
  await store.storeBatches(batches(producer, 2, 3));
  const letGo = await holding(
    database.sql,
    `INSERT INTO click_batches (producer, seq, clicks) VALUES ('${producer.id}', 1, 2)`,
  );
  const late = openDatabase({
    address: database.connection,
    connections: 1,
    statementTimeoutMs: 60_000,
    applicationName: "late",
  });
  // It waits for number 1 with a view of the database in which there is no range, and 2 is still to come.
  const stored = new PostgresClickStore(late).storeBatches(batches(producer, 1, 2));
  await waitFor("the batch to wait", async () => {
    const waiting = await database.sql`
      SELECT FROM pg_stat_activity WHERE application_name = 'late' AND wait_event_type = 'Lock' AND datname = current_database()`;
    return waiting.length > 0;
  });
  const merging = mergeBatches(database.sql, 0);
  await waitFor("the range", async () => (await ranges()).length > 0);
  await letGo();
  expect(await stored).toBe(2);
  expect(await merging).toBe(2);
  await late.end();
  await mergeBatches(database.sql, 0);
  expect([await rows(), await ranges()]).toEqual([[], ["1 3 6"]]);
  expect(await ledger()).toMatchObject({ verdict: "balanced", batchClicks: 6, storedClicks: 6 });
});

test("rows stay whose range another process committed while this one waited", async () => {
  const [ours, theirs] = [aProducer(), aProducer()];
  await store.storeBatches([...batches(ours, 1, 2), ...batches(theirs, 7)]);
  await database.sql`UPDATE click_batches SET stored_at = stored_at - interval '1 hour' WHERE producer = ${ours.id}`;
  const letGo = await holding(database.sql, STORING);
  const merging = mergeBatches(database.sql, 60_000);
  await waitFor("the range", async () => (await ranges()).length > 0);
  await database.sql`INSERT INTO click_ranges (producer, first, last, clicks) VALUES (${theirs.id}, 7, 7, 2)`;
  await letGo();
  expect(await merging).toBe(2);
  expect(await rows()).toEqual([7]);
});

test("rows stay when their range is gone, as on a server that took over and had not got it", async () => {
  await store.storeBatches(batches(aProducer(), 1, 2));
  const letGo = await holding(database.sql, STORING);
  const merging = mergeBatches(database.sql, 0);
  await waitFor("the range", async () => (await ranges()).length > 0);
  await database.sql`DELETE FROM click_ranges`;
  await letGo();
  expect(await merging).toBe(0);
  expect(await rows()).toEqual([1, 2]);
});

test("ranges that a set touches from below, from above or from both sides become one, and the others stay", async () => {
  const producer = aProducer();
  for (const seqs of [[2, 3], [6, 7], [10], [20], [4], [8, 9], [19], [1], [30, 32]]) {
    await store.storeBatches(batches(producer, ...seqs));
    await mergeBatches(database.sql, 0);
  }
  expect(await ranges()).toEqual(["1 4 8", "6 10 10", "19 20 4", "30 30 2", "32 32 2"]);
  await store.storeBatches(batches(producer, 5, 31));
  await mergeBatches(database.sql, 0);
  expect(await ranges()).toEqual(["1 10 20", "19 20 4", "30 32 6"]);
});

test("more batches than fit in a set are merged in one go", async () => {
  await database.sql`
    INSERT INTO click_batches (producer, seq, clicks, stored_at)
    SELECT ${aProducer().id}::uuid, seq, 1, now() - interval '1 hour' FROM generate_series(1, 45000) AS seq`;
  expect(await mergeBatches(database.sql, 60_000)).toBe(45_000);
  expect([await rows(), await ranges()]).toEqual([[], ["1 45000 45000"]]);
});

test("batches that three stores send again and again while two processes merge are stored once each", async () => {
  const message = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.integer({ min: 1, max: 30 })), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 3, maxLength: 30 }), async (messages) => {
      const producers = [aProducer(), aProducer(), aProducer()];
      const before = await ledger();
      const sent = new AbortController();
      const merging = [1, 2].map(async () => {
        while (!sent.signal.aborted) await mergeBatches(database.sql, 0);
      });
      const stores = [1, 2, 3].map(() => new PostgresClickStore(database.sql));
      let confirmed = 0;
      await Promise.all(
        stores.map(async (each, index) => {
          // All of them send everything, each in an order of its own.
          for (const seqs of [...messages.slice(index), ...messages.slice(0, index)]) {
            const clicks = await each.storeBatches(
              seqs.flatMap(([by, seq]) => (producers[by] ? [batch(producers[by], seq)] : [])),
            );
            confirmed += clicks;
          }
        }),
      ).finally(() => sent.abort());
      await Promise.all(merging);
      const distinct = new Set(messages.flat().map(([by, seq]) => `${by} ${seq}`));
      expect(confirmed).toBe(2 * distinct.size);
      const after = await ledger();
      expect(after.batchClicks - before.batchClicks).toBe(2 * distinct.size);
      expect(after.storedClicks).toBe(after.batchClicks);
    }),
    { numRuns: RUNS },
  );
});
