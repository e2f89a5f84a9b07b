// hop ledger looks into the spool of this machine, whoever owns it, and touches nothing there.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeBatch } from "../../src/clicks/batch-encoder.ts";
import type { ClickBatch } from "../../src/clicks/click.ts";
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { PostgresRollup } from "../../src/storage/postgres/rollup.ts";
import { batchesInSpool } from "../../src/storage/spool/contents.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { runHop } from "../helpers/hop-process.ts";
import { SpoolStage } from "../helpers/spool-records.ts";

let database: TestDatabase;
let producer = aProducer();
beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
});
afterAll(() => database.drop());
beforeEach(() => {
  producer = aProducer();
});

function batch(seq: number, clicks = 2): ClickBatch {
  return { producer, seq, clicks: Array.from({ length: clicks }, () => aClick()) };
}

async function store(...batches: ClickBatch[]): Promise<void> {
  await new PostgresClickStore(database.sql).storeBatches(batches);
  await new PostgresRollup(database.sql).rollUpTotals(1_000, "patient");
}

async function ledger(stage: SpoolStage, ...options: string[]) {
  const env = { HOP_DATABASE_URL: database.url, HOP_DATA_DIR: join(stage.directory, "..") };
  return runHop(["ledger", ...options], env);
}

test("a batch in the spool of a process, alive or dead, is no loss and is accounted as spooled", async () => {
  await using stage = new SpoolStage();
  const spool = stage.open();
  await store(batch(1), batch(4));
  expect((await ledger(stage)).code).toBe(1);
  for (const seq of [2, 3]) await spool.append(encodeBatch(batch(seq, 5)));
  const counts = { verdict: "balanced", reasons: [], spooledBatches: 2, spooledClicks: 10 };
  expect(JSON.parse((await ledger(stage, "--json")).output)).toMatchObject(counts);
  await spool.close();
  const dead = await ledger(stage, "--json");
  expect(dead.code).toBe(0);
  expect(JSON.parse(dead.output)).toMatchObject(counts);
  expect((await ledger(stage)).output).toMatch(/clicks in the spool of this machine +10\n/);

  // The ledger took nothing: the next process finds all of it.
  const next = stage.open();
  await next.adopt();
  expect(await next.read()).toHaveLength(2);
  await next.remove(await next.read());
  const lost = await ledger(stage);
  expect(lost.code).toBe(1);
  expect(lost.output).toContain(`producer ${producer.id} lacks 2 of 4 batches (numbers 2, 3)`);
  await store(batch(2, 5), batch(3, 5));
});

test("a batch that is stored and whose file is still there counts as stored", async () => {
  await using stage = new SpoolStage();
  const spool = stage.open();
  for (const seq of [1, 2]) await spool.append(encodeBatch(batch(seq)));
  await store(batch(1));
  expect(JSON.parse((await ledger(stage, "--json")).output)).toMatchObject({
    verdict: "balanced",
    spooledBatches: 1,
  });
});

test("a batch that the store refused is in a .bad file, and the ledger is undecided", async () => {
  await using stage = new SpoolStage();
  await stage.open().append(encodeBatch(batch(7)));
  writeFileSync(join(stage.directory, "owner-00000001-8.bad"), encodeBatch(batch(2)));
  writeFileSync(join(stage.directory, "owner-00000001-9.bad"), "nonsense");
  await store(batch(1), batch(3));
  const { code, output } = await ledger(stage, "--json");
  expect(code).toBe(2);
  expect(JSON.parse(output)).toMatchObject({ verdict: "undecided", deadBatches: 1, spooledBatches: 1 });
  await store(batch(2));
});

test("a spool that is being written, torn or not there reads as what is whole in it", async () => {
  await using stage = new SpoolStage();
  expect(await batchesInSpool(stage.directory, 10)).toEqual({ batches: [], complete: true, readers: [] });
  const spool = stage.open();
  const appends = Array.from({ length: 300 }, (_, index) => spool.append(encodeBatch(batch(index + 1))));
  await appends[0];
  const during = await batchesInSpool(stage.directory, 1_000);
  await Promise.all(appends);
  expect(during.batches.length).toBeGreaterThan(0);
  expect(during.batches.map(({ seq }) => seq)).toEqual(during.batches.map((_, index) => index + 1));
  const after = await batchesInSpool(stage.directory, 1_000);
  expect(after.batches).toHaveLength(300);
  expect(after.batches[299]).toEqual({ producer: producer.id, seq: 300, clicks: 2, state: "spooled" });
  expect(await batchesInSpool(stage.directory, 299)).toMatchObject({ complete: false });
  const [path = ""] = stage.files();
  const bytes = await Bun.file(path).bytes();
  await Bun.write(path, bytes.subarray(0, bytes.length - 1));
  expect((await batchesInSpool(stage.directory, 1_000)).batches).toHaveLength(299);
  expect(stage.damage).toEqual([]);
});
