// Daily partitions of clicks: made ahead by whoever comes first, and no click is lost where one is missing.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { PostgresClickReader } from "../../src/storage/postgres/click-reader.ts";
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { createPartitions, retireClicks } from "../../src/storage/postgres/partitions.ts";
import { PostgresRollup } from "../../src/storage/postgres/rollup.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";

const NOW = Date.parse("2024-02-28T23:59:59.999Z");
const DAY_MS = 86_400_000;

let database: TestDatabase;
const producer = aProducer();
let seq = 0;

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
  seq = 0;
});

afterEach(() => database.drop());

/** Stores a batch and makes it rows. */
async function store(...times: string[]): Promise<void> {
  const clicks = times.map((time) => aClick({ atMs: Date.parse(time) }));
  await new PostgresClickStore(database.sql).storeBatches([{ producer, seq: ++seq, clicks }]);
  await new PostgresRollup(database.sql).rollUpTotals(100, "patient");
}

async function partitions(): Promise<string[]> {
  const rows = await database.sql<{ name: string }[]>`
    SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'clicks'::regclass
    ORDER BY 1`;
  return rows.map((row) => row.name);
}

/** How many clicks are in which partition. */
async function clicksByPartition(): Promise<Record<string, number>> {
  const rows = await database.sql<{ name: string; clicks: number }[]>`
    SELECT tableoid::regclass::text AS name, count(*) AS clicks FROM clicks GROUP BY 1 ORDER BY 1`;
  return Object.fromEntries(rows.map(({ name, clicks }) => [name, clicks]));
}

test("yesterday's to three days ahead are there, across a leap day", async () => {
  await createPartitions(database.sql, NOW);
  expect(await partitions()).toEqual([
    "clicks_20240227",
    "clicks_20240228",
    "clicks_20240229",
    "clicks_20240301",
    "clicks_20240302",
    "clicks_other",
  ]);
});

test("many that make them at once, and again the next day, make each of them once", async () => {
  await Promise.all(Array.from({ length: 10 }, () => createPartitions(database.sql, NOW)));
  expect(await partitions()).toHaveLength(6);
  await Promise.all(Array.from({ length: 4 }, () => createPartitions(database.sql, NOW + DAY_MS)));
  expect((await partitions()).slice(-2)).toEqual(["clicks_20240303", "clicks_other"]);
  expect(await partitions()).toHaveLength(7);
});

test("each click is in the partition of its UTC day, and late or early ones are in the other", async () => {
  await createPartitions(database.sql, NOW);
  await store("2024-02-28T00:00:00.000Z", "2024-02-28T23:59:59.999Z", "2024-02-29T00:00:00.000Z");
  await store("2024-02-26T23:59:59.999Z", "2024-03-03T00:00:00.000Z", "2030-01-01T00:00:00Z");
  expect(await clicksByPartition()).toEqual({ clicks_20240228: 2, clicks_20240229: 1, clicks_other: 3 });
});

test("late clicks count in totals, statistics and the ledger", async () => {
  await createPartitions(database.sql, NOW);
  await store("2023-05-05T05:05:05Z", "2024-02-28T12:00:00Z");
  await new PostgresRollup(database.sql).rollUpDimensions(100, "patient");
  const reader = new PostgresClickReader(database.sql);
  const fromMs = Date.parse("2023-05-01T00:00:00Z");
  const query = {
    fromMs,
    toMs: NOW,
    interval: "month",
    by: "country",
    bots: "include",
    topLimit: 5,
  } as const;
  expect(await reader.statsFacts(1, query)).toMatchObject({
    buckets: [{ clicks: 1 }, { clicks: 1 }],
    top: [{ value: "DE", clicks: 2 }],
  });
  expect(judgeLedger(await reader.ledgerFacts())).toMatchObject({ verdict: "balanced", storedClicks: 2 });
});

test("clicks that came before their partition move into it, and the days after it are made as well", async () => {
  await store("2024-02-29T10:00:00Z", "2024-02-29T11:00:00Z", "2024-02-20T00:00:00Z");
  await createPartitions(database.sql, NOW);
  expect(await partitions()).toHaveLength(6);
  expect(await clicksByPartition()).toEqual({ clicks_20240229: 2, clicks_other: 1 });
  const facts = await new PostgresClickReader(database.sql).ledgerFacts();
  expect(facts).toMatchObject({ batchClicks: 3, storedClicks: 3, totalledClicks: 3 });
});

test("clicks that are stored while partitions are made are all kept", async () => {
  const work: Promise<void>[] = [];
  for (let day = 0; day < 8; day++) {
    const time = new Date(NOW + day * DAY_MS).toISOString();
    work.push(store(time, time), createPartitions(database.sql, NOW + day * DAY_MS), store(time));
  }
  await Promise.all(work);
  const facts = await new PostgresClickReader(database.sql).ledgerFacts();
  expect(facts).toMatchObject({ batchClicks: 24, storedClicks: 24 });
});

test("days older than the retention go, their totals and their number in the ledger stay", async () => {
  await createPartitions(database.sql, NOW);
  await store("2024-02-27T12:00:00Z", "2024-02-27T13:00:00Z", "2024-02-28T12:00:00Z", "2023-01-01T00:00:00Z");
  const old = NOW + 30 * DAY_MS;
  expect(await retireClicks(database.sql, old, 30)).toBe(0);
  await new PostgresRollup(database.sql).rollUpDimensions(100, "patient");
  expect(await retireClicks(database.sql, old, 30)).toBe(3);
  expect(await clicksByPartition()).toEqual({ clicks_20240228: 1 });
  expect(await partitions()).not.toContain("clicks_20240227");
  expect(await database.sql`SELECT FROM link_visitors`).toHaveLength(1);
  expect(await retireClicks(database.sql, old, 30)).toBe(0);
  const reader = new PostgresClickReader(database.sql);
  expect(judgeLedger(await reader.ledgerFacts())).toMatchObject({
    verdict: "balanced",
    batchClicks: 4,
    storedClicks: 1,
    retiredClicks: 3,
    totalledClicks: 4,
    sortedClicks: 4,
  });
  const query = {
    fromMs: Date.parse("2024-02-01"),
    toMs: old,
    interval: "month",
    by: "os",
    bots: "include",
  } as const;
  expect(await reader.statsFacts(1, { ...query, topLimit: 5 })).toMatchObject({
    buckets: [{ clicks: 3, unique: 2 }],
  });
  // A click that comes later still counts, and goes with the next round.
  await store("2024-02-27T14:00:00Z");
  await new PostgresRollup(database.sql).rollUpDimensions(100, "patient");
  expect(await retireClicks(database.sql, old, 30)).toBe(1);
  expect(judgeLedger(await reader.ledgerFacts())).toMatchObject({ verdict: "balanced", retiredClicks: 4 });
});
