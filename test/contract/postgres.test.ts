// The implementations in Postgres keep every contract.
import { afterAll, beforeAll } from "bun:test";
import type { ClickBatch } from "../../src/clicks/click.ts";
import { mergeBatches } from "../../src/storage/postgres/batch-ranges.ts";
import { PostgresClickReader } from "../../src/storage/postgres/click-reader.ts";
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import { PostgresIdempotencyStore } from "../../src/storage/postgres/idempotency.ts";
import { PostgresKeyStore } from "../../src/storage/postgres/keys.ts";
import { PostgresLinkStore } from "../../src/storage/postgres/links.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { PostgresRollup } from "../../src/storage/postgres/rollup.ts";
import { PostgresSaltStore } from "../../src/storage/postgres/salts.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { describeContracts } from "./all-contracts.ts";
import { describeClickStore } from "./clicks-contract.ts";
import { describeLedger } from "./ledger-contract.ts";
import type { Stores } from "./stores.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
});

afterAll(() => database.drop());

/** Every batch becomes part of a range as soon as it is stored. */
class MergingClickStore extends PostgresClickStore {
  override async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    const clicks = await super.storeBatches(batches);
    await mergeBatches(database.sql, 0);
    return clicks;
  }
}

async function openStores(Clicks: typeof PostgresClickStore): Promise<Stores> {
  const { sql } = database;
  await sql`TRUNCATE links, api_keys, idempotency_keys, producers, click_batches, click_ranges, click_queue, rollup_rounds, clicks,
    link_hours, link_dims, link_visitors, visitor_hours, agents, profiles, visitor_salts`;
  return {
    links: new PostgresLinkStore(sql),
    idempotency: new PostgresIdempotencyStore(sql),
    clicks: new Clicks(sql),
    reader: new PostgresClickReader(sql),
    rollup: new PostgresRollup(sql),
    keys: new PostgresKeyStore(sql),
    salts: new PostgresSaltStore(sql),
  };
}

describeContracts("Postgres", () => openStores(PostgresClickStore));
describeClickStore("Postgres, merging", () => openStores(MergingClickStore));
describeLedger("Postgres, merging", () => openStores(MergingClickStore));
