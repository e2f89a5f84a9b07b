// Rollups are right: computed again from the raw clicks they are the same, and what was tampered with is found and mended.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { judgeAgent } from "../../src/clicks/visitor.ts";
import { PostgresClickReader } from "../../src/storage/postgres/click-reader.ts";
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { createPartitions, retireClicks } from "../../src/storage/postgres/partitions.ts";
import { rebuildableDays } from "../../src/storage/postgres/rebuild.ts";
import { PostgresRollup } from "../../src/storage/postgres/rollup.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { runHop } from "../helpers/hop-process.ts";
import { Random } from "../helpers/fault-test.ts";

const NOON = Date.parse("2024-02-28T12:00:00Z");
const DAY_MS = 86_400_000;

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
  await createPartitions(database.sql, NOON);
});

afterEach(() => database.drop());

const hop = (command: string) => runHop([command], { HOP_DATABASE_URL: database.url });

/** Clicks of three days in rounds of both kinds, some left in the queue and some without dimensions. */
async function storeClicks(count: number): Promise<void> {
  const random = new Random(7);
  const [store, rollup] = [new PostgresClickStore(database.sql), new PostgresRollup(database.sql)];
  const producer = aProducer();
  for (let seq = 1; seq <= count / 20; seq++) {
    const clicks = Array.from({ length: 20 }, () => {
      const bot = random.integer(0, 3) === 0;
      return aClick({
        linkId: random.integer(0, 4),
        atMs: NOON - DAY_MS + random.integer(0, 3 * DAY_MS),
        // A visitor's hash has the user agent in it, so that nobody is a person and a bot.
        visitor: BigInt(2 * random.integer(0, 7) + Number(bot)),
        referrer: `site-${random.integer(0, 3)}.example`,
        bot,
      });
    });
    await store.storeBatches([{ producer, seq, clicks }]);
    if (seq % 2 === 0) await rollup.rollUpTotals(60, "patient");
    if (seq % 5 === 0) await rollup.rollUpDimensions(60, "patient");
  }
}

test("rollups that were added to in many rounds equal those computed from the raw clicks", async () => {
  await storeClicks(1_000);
  const { code, output } = await hop("rebuild-rollups");
  expect([code, output]).toEqual([0, expect.stringContaining("every rollup was right") as string]);
  expect(output.match(/ equal$/gm)?.length).toBe((await rebuildableDays(database.sql)).length);
});

test("a wrong, a missing and an invented rollup are found and mended", async () => {
  await storeClicks(400);
  await hop("rebuild-rollups");
  const { sql } = database;
  const spoil = [
    () =>
      sql`UPDATE link_hours SET clicks = clicks + 1 WHERE (link_id, hour) IN (SELECT link_id, hour FROM link_hours LIMIT 1)`,
    () => sql`DELETE FROM link_dims WHERE dimension = 'os' AND link_id = 1`,
    () => sql`INSERT INTO link_dims VALUES (9, '2024-02-28', 'country', 'XX', 1, 0)`,
    () => sql`UPDATE visitor_hours SET bots = bots + 1 WHERE link_id = 2`,
    () => sql`DELETE FROM link_visitors WHERE link_id = 3`,
  ];
  for (const damage of spoil) {
    expect((await damage()).count).toBeGreaterThan(0);
    const found = await hop("rebuild-rollups");
    expect([found.code, found.output]).toEqual([1, expect.stringContaining("mended: ") as string]);
    expect((await hop("rebuild-rollups")).code).toBe(0);
  }
});

test("days whose clicks were retired keep their rollups", async () => {
  await storeClicks(400);
  await hop("rebuild-rollups");
  expect(await retireClicks(database.sql, NOON + 30 * DAY_MS, 30)).toBeGreaterThan(0);
  const before = await database.sql`SELECT * FROM link_dims ORDER BY 1, 2, 3, 4`;
  expect((await hop("rebuild-rollups")).code).toBe(0);
  expect([...(await database.sql`SELECT * FROM link_dims ORDER BY 1, 2, 3, 4`)]).toEqual([...before]);
});

test("a header that older rules took for a person's is judged again, with all its history", async () => {
  const text = "SomeCrawler/0.0 (compatible; bot; +https://crawler.example/bot.html)";
  const now = judgeAgent(text);
  expect(now.bot).toBe(true);
  const agent = { ...now, browser: "Chrome", os: "Linux", device: "desktop", bot: false, rules: "older" };
  const click = aClick({ atMs: NOON });
  const clicks = [
    { ...click, profile: { ...click.profile, id: 77n, agent } },
    aClick({ atMs: NOON, visitor: 2n }),
  ];
  await new PostgresClickStore(database.sql).storeBatches([{ producer: aProducer(), seq: 1, clicks }]);
  const rollup = new PostgresRollup(database.sql);
  await rollup.rollUpTotals(100, "patient");
  await rollup.rollUpDimensions(100, "patient");
  const people = async () => {
    const range = {
      fromMs: NOON - DAY_MS / 2,
      toMs: NOON + DAY_MS / 2,
      interval: "day",
      by: "device",
    } as const;
    const facts = await new PostgresClickReader(database.sql).statsFacts(1, {
      ...range,
      bots: "exclude",
      topLimit: 5,
    });
    return [facts.buckets[0]?.clicks, facts.unique, facts.top];
  };
  expect(await people()).toEqual([2, 2, [{ value: "desktop", clicks: 2 }]]);
  await database.sql`UPDATE agents SET text = NULL WHERE rules = 'test'`;
  const { code, output } = await hop("rejudge-bots");
  expect([code, output]).toEqual([0, expect.stringContaining("Judged 1 user agents") as string]);
  expect(output).toContain("1 verdicts changed");
  expect(await people()).toEqual([1, 1, [{ value: "desktop", clicks: 1 }]]);
  expect((await hop("rejudge-bots")).output).toContain("Judged 0 user agents");
});
