// The whole way of a batch with the real ends: Redis, a worker, Postgres, and the ledger over it.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { PostgresClickReader } from "../../src/storage/postgres/click-reader.ts";
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { addTotals } from "../../src/storage/postgres/rollup.ts";
import { listDeadLetters } from "../../src/storage/redis/dead-letters.ts";
import { aClick } from "../helpers/clicks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { TestRedis } from "../helpers/redis.ts";
import { BatchMaker, StreamStage } from "../helpers/stream-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

let redis: TestRedis;
let database: TestDatabase;
let stage: StreamStage;
let store: PostgresClickStore;
let maker: BatchMaker;
beforeAll(async () => {
  redis = await TestRedis.start();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  await redis.client.flushall();
  database = await createTestDatabase();
  await migrate(database.sql);
  store = new PostgresClickStore(database.sql);
  stage = new StreamStage(redis.url);
  maker = new BatchMaker();
  await stage.ready();
});
afterEach(async () => {
  await stage.clear();
  await database.drop();
});

async function ledger() {
  return judgeLedger(await new PostgresClickReader(database.sql).ledgerFacts());
}

test("each batch delivered three times, in three orders and to two workers, is stored once", async () => {
  const batches = maker.many(60, 20);
  const sender = await stage.append([...batches, ...batches.toReversed()]);
  stage.worker(store, { maxClicks: 100 });
  stage.worker(new PostgresClickStore(database.sql), { maxClicks: 100 });
  for (const batch of batches) await sender.storeBatches([batch]);
  await sender.closeProducer(maker.producer, 60, {});
  await stage.drained();
  expect(await ledger()).toMatchObject({ verdict: "balanced", batchClicks: 1_200, storedClicks: 1_200 });
  const [producer] = (await ledger()).producers;
  expect(producer).toMatchObject({ ended: true, lastSeq: 60, batches: 60, clicks: 1_200, missing: [] });
});

function nameOf({
  linkId,
  atMs,
  visitor,
}: {
  linkId: number;
  atMs: number;
  visitor: number | bigint;
}): string {
  return `${linkId} ${atMs} ${visitor}`;
}

test("a set of more clicks than a row of the queue takes is stored whole, also if one of its batches was stored before", async () => {
  const sets = [0, 1].map((set) =>
    [1, 2, 3].map((number) => ({
      producer: maker.producer,
      seq: set * 3 + number,
      clicks: Array.from({ length: 3_000 }, (_, index) =>
        aClick({ linkId: number * 10_000 + index, atMs: set * 100_000 + 7 * index, visitor: BigInt(index) }),
      ),
    })),
  );
  const [fresh = [], known = []] = sets;
  expect(await store.storeBatches(fresh)).toBe(9_000);
  expect(await store.storeBatches(known.slice(1, 2))).toBe(3_000);
  expect(await store.storeBatches(known)).toBe(6_000);
  expect(await store.storeBatches([...fresh, ...known])).toBe(0);
  expect(await addTotals(database.sql, 100_000, "patient")).toBe(18_000);
  const rows = await database.sql<{ linkId: number; atMs: number; visitor: number }[]>`
    SELECT link_id AS "linkId", (extract(epoch FROM at) * 1000)::bigint AS "atMs", visitor FROM clicks`;
  const sent = sets.flat().flatMap(({ clicks }) => clicks.map(nameOf));
  expect(rows.map(nameOf).toSorted()).toEqual(sent.toSorted());
});

test("a batch that Postgres refuses is put aside and those beside it are stored", async () => {
  const good = maker.many(9);
  const bad = maker.next();
  const [click] = bad.clicks;
  if (click === undefined) throw new Error("a batch has clicks");
  // Postgres keeps no NUL in a text.
  const profile = { ...click.profile, id: 77n, referrer: "nul\0.example" };
  const poisoned = { ...bad, clicks: [click, { ...click, profile }] };
  await stage.append([...good.slice(0, 4), poisoned, ...good.slice(4)]);
  stage.worker(store, { claimIdleMs: 50, maxDeliveries: 2 });
  await waitFor("the dead letter", () => stage.buried.length > 0);
  await stage.drained();
  expect(await ledger()).toMatchObject({ batchClicks: 27 });
  expect(await listDeadLetters(stage.client, 1)).toMatchObject([{ seq: bad.seq, clicks: 2, deliveries: 2 }]);
});
