// Daily partitions of clicks and visitors: made ahead of need by whichever process comes first, dropped after their time.
import type { PendingQuery, Row } from "postgres";
import { asking, type Database, type Queryable, translating } from "./database.ts";

const DAYS_AHEAD = 3;
const LOCK = "hop_partitions";
const DAY_MS = 86_400_000;

/** What is kept by day, and the column that says which. */
const KEPT_BY_DAY = [
  { table: "clicks", column: "at" },
  { table: "link_visitors", column: "day" },
] as const;
type KeptByDay = (typeof KEPT_BY_DAY)[number];

/** Makes the partitions of yesterday (for late clicks) to three days ahead. Safe to call from many processes. */
export async function createPartitions(sql: Database, nowMs: number): Promise<void> {
  for (let day = -1; day <= DAYS_AHEAD; day++) {
    for (const kept of KEPT_BY_DAY) await createPartition(sql, kept, utcDay(nowMs + day * DAY_MS));
  }
}

/**
 * Postgres refuses a partition whose rows are in the default one already: clicks of a clock that was ahead, or of a time
 * when creating failed. So they move first, while nobody writes.
 */
async function createPartition(sql: Database, { table, column }: KeptByDay, day: string): Promise<void> {
  const name = partitionName(table, day);
  await asking(sql, () =>
    sql.begin(async (transaction) => {
      await lock(transaction);
      const [found] = await transaction`SELECT FROM pg_class WHERE oid = to_regclass(${name})`;
      if (found !== undefined) return;
      // Names and dates are made here from a number: nothing of a user's is in these statements.
      const [from, to] = [startOf(day), startOf(utcDay(Date.parse(day) + DAY_MS))];
      await transaction.unsafe(`
        LOCK TABLE ONLY ${table} IN SHARE ROW EXCLUSIVE MODE;
        CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL EXCLUDING INDEXES);
        WITH early AS (DELETE FROM ${table}_other WHERE ${column} >= ${from} AND ${column} < ${to} RETURNING *)
        INSERT INTO ${name} SELECT * FROM early;
        ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM (${from}) TO (${to})`);
    }),
  );
}

/**
 * Drops the days that are older than so many whole days, and deletes late rows of such days. The totals stay, and so does
 * the number of clicks that went, which the ledger needs. Days whose clicks are not in the dimensions yet are kept.
 * @returns how many clicks went
 */
export async function retireClicks(sql: Database, nowMs: number, days: number): Promise<number> {
  const before = utcDay(nowMs - days * DAY_MS);
  const end = new Date(before);
  return translating(() =>
    sql.begin(async (transaction) => {
      await lock(transaction);
      const [unsorted] = await transaction`SELECT FROM rollup_rounds WHERE first_at < ${end}`;
      if (unsorted !== undefined) return 0;
      const old = await transaction<{ name: string }[]>`
        SELECT inhrelid::regclass::text AS name FROM pg_inherits
        WHERE inhparent = 'clicks'::regclass AND inhrelid::regclass::text ~ '^clicks_[0-9]{8}$'
          AND inhrelid::regclass::text < ${partitionName("clicks", before)}`;
      // Nobody adds late clicks between the count and the end of a partition.
      await transaction`LOCK TABLE ONLY clicks, ONLY link_visitors IN ACCESS EXCLUSIVE MODE`;
      let retired = await remember(
        transaction,
        transaction`DELETE FROM clicks_other WHERE at < ${end} RETURNING at`,
      );
      for (const { name } of old) {
        retired += await remember(transaction, transaction`SELECT at FROM ${transaction(name)}`);
        await transaction.unsafe(
          `DROP TABLE ${name}; DROP TABLE IF EXISTS link_visitors${name.slice("clicks".length)}`,
        );
      }
      await transaction`DELETE FROM link_visitors WHERE day < ${before}::text::date`;
      return retired;
    }),
  );
}

/** Adds clicks (at) to the number of those that went. */
async function remember(sql: Queryable, clicks: PendingQuery<Row[]>): Promise<number> {
  const [gone] = await sql<{ clicks: number }[]>`
    WITH gone AS (
      ${clicks}
    ), remembered AS (
      INSERT INTO retired_clicks (day, clicks) SELECT (at AT TIME ZONE 'UTC')::date, count(*) FROM gone GROUP BY 1
      ON CONFLICT (day) DO UPDATE SET clicks = retired_clicks.clicks + excluded.clicks
    )
    SELECT count(*) AS clicks FROM gone`;
  return gone?.clicks ?? 0;
}

async function lock(sql: Queryable): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(hashtext(${LOCK}))`;
}

function partitionName(table: KeptByDay["table"], day: string): string {
  return `${table}_${day.replaceAll("-", "")}`;
}

/** As a literal that a date and a timestamp both read. */
function startOf(day: string): string {
  return `'${day} 00:00+00'`;
}

function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
