// Stored batches as ranges of their numbers, so that the ledger does not grow by a row a batch for ever.
import type { PendingQuery, Row } from "postgres";
import { interval } from "../../lib/loop.ts";
import { type Database, type Queryable, textArray, translating } from "./database.ts";

/** Any constant will do; all hop processes use this one. */
const MERGE_LOCK = 7_465_004;
/** Of one transaction, which takes some 0.2 s: a process that is told to stop waits for it. */
const SET_BATCHES = 20_000;
const SET_TIMEOUT_MS = 30_000;
/** What stores takes milliseconds; a backend that is frozen must not hold up a merge for ever. */
const OLDER_STATEMENTS_MS = 30_000;
const LOOK_AGAIN_MS = 10;

/** Batches first to last of a producer. */
interface Range {
  readonly producer: string;
  readonly first: number;
  readonly last: number;
}

/**
 * Merges the batches that were stored longer ago than `olderThanMs`, in sets until `stopping`. Safe to call from many
 * processes, and to be ended at any moment: what a range and a row both say counts once.
 *
 * A batch that comes again, however late, must find either its row or its range. So a set is merged in three steps: its
 * ranges are committed beside the rows; every transaction that may not have seen them ends; the rows of just these ranges
 * are deleted, since another process may have committed more of them meanwhile.
 *
 * @returns how many rows were deleted
 * @throws Error when a transaction did not end in time; the rows are deleted the next time
 */
export async function mergeBatches(
  sql: Database,
  olderThanMs: number,
  stopping: AbortSignal = new AbortController().signal,
): Promise<number> {
  return translating(async () => {
    // First what a merge left that was ended half-way.
    let deleted = await deleteWhenSeen(sql, await rangesWithRows(sql), stopping);
    for (let more = true; more && !stopping.aborted;) {
      const made = await makeRanges(sql, olderThanMs);
      deleted += await deleteWhenSeen(sql, made, stopping);
      more = made.reduce((sum, { first, last }) => sum + last - first + 1, 0) === SET_BATCHES;
    }
    return deleted;
  });
}

/**
 * Whether a batch `b` (producer, seq) is in a range. Ranges share no number, so it can only be in the first that ends at it or
 * above; Postgres does not know that, and would look at all that are above, or join on the producer alone.
 */
export function isMerged(sql: Queryable): PendingQuery<Row[]> {
  return sql`coalesce((
    SELECT r.first <= b.seq FROM click_ranges r WHERE r.producer = b.producer AND r.last >= b.seq ORDER BY r.last LIMIT 1
  ), false)`;
}

/** All that is stored, as ranges (producer, first, last, clicks) that share no number. */
export function storedRanges(sql: Queryable): PendingQuery<Row[]> {
  return sql`
    SELECT producer, seq AS first, seq AS last, clicks::bigint FROM click_batches b WHERE NOT ${isMerged(sql)}
    UNION ALL SELECT producer, first, last, clicks FROM click_ranges`;
}

async function rangesWithRows(sql: Database): Promise<readonly Range[]> {
  return sql<Range[]>`
    SELECT r.producer, r.first, r.last
    FROM click_ranges r, LATERAL (
      SELECT FROM click_batches b WHERE b.producer = r.producer AND b.seq BETWEEN r.first AND r.last LIMIT 1
    ) AS row`;
}

/** Of one set, the oldest of each producer; none while another process is at it. Each joins the ranges that it touches. */
async function makeRanges(sql: Database, olderThanMs: number): Promise<readonly Range[]> {
  return sql.begin(async (transaction): Promise<readonly Range[]> => {
    await transaction`SELECT set_config('statement_timeout', ${`${SET_TIMEOUT_MS}ms`}, true)`;
    const [lock] = await transaction<
      { taken: boolean }[]
    >`SELECT pg_try_advisory_xact_lock(${MERGE_LOCK}) AS taken`;
    if (!lock?.taken) return [];
    return transaction<Range[]>`
      WITH old AS MATERIALIZED (
        SELECT producer, seq, clicks FROM click_batches b
        WHERE stored_at < now() - ${olderThanMs} * interval '1 millisecond' AND NOT ${isMerged(transaction)}
        ORDER BY producer, seq LIMIT ${SET_BATCHES}
      ), islands AS MATERIALIZED (
        SELECT producer, min(seq) AS first, max(seq) AS last, sum(clicks)::bigint AS clicks
        FROM (SELECT *, seq - row_number() OVER (PARTITION BY producer ORDER BY seq) AS island FROM old) AS numbered
        GROUP BY producer, island
      ), touched AS (
        DELETE FROM click_ranges WHERE (producer, last) IN (
          SELECT producer, first - 1 FROM islands
          UNION ALL
          SELECT i.producer, above.last
          FROM islands i, LATERAL (
            SELECT first, last FROM click_ranges r WHERE r.producer = i.producer AND r.last > i.last ORDER BY r.last LIMIT 1
          ) AS above WHERE above.first = i.last + 1
        ) RETURNING *
      ), pieces AS (
        TABLE islands UNION ALL SELECT producer, first, last, clicks FROM touched
      ), marked AS (
        SELECT *, first > 1 + lag(last, 1, -1::bigint) OVER (PARTITION BY producer ORDER BY first) AS begins FROM pieces
      ), joined AS (
        SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY producer ORDER BY first) AS number FROM marked
      ), made AS (
        INSERT INTO click_ranges (producer, first, last, clicks)
        SELECT producer, min(first), max(last), sum(clicks) FROM joined GROUP BY producer, number
      )
      SELECT producer, first, last FROM islands`;
  });
}

/** The ranges are committed; the rows go when nobody can be without both. @returns how many there were */
async function deleteWhenSeen(
  sql: Database,
  ranges: readonly Range[],
  stopping: AbortSignal,
): Promise<number> {
  if (ranges.length === 0 || !(await olderTransactionsEnd(sql, stopping))) return 0;
  return sql.begin(async (transaction) => {
    await transaction`SELECT set_config('statement_timeout', ${`${SET_TIMEOUT_MS}ms`}, true)`;
    await transaction`SELECT pg_advisory_xact_lock(${MERGE_LOCK})`;
    // A look-up for each range, whatever Postgres believes about their number. And only while there is a range: a server that took
    // over from another one may lack it, and `hop migrate down` has made rows of it.
    const result = await transaction`
      DELETE FROM click_batches WHERE ctid = ANY (ARRAY(
        SELECT old.ctid
        FROM unnest(
          ${textArray(ranges.map(({ producer }) => producer))}::uuid[],
          ${textArray(ranges.map(({ first }) => String(first)))}::bigint[],
          ${textArray(ranges.map(({ last }) => String(last)))}::bigint[]) AS r(producer, first, last),
        LATERAL (
          SELECT b.ctid FROM click_batches b
          WHERE b.producer = r.producer AND b.seq BETWEEN r.first AND r.last AND ${isMerged(transaction)} OFFSET 0
        ) AS old))`;
    return result.count;
  });
}

/**
 * Waits until all have ended that were storing when it was called: a statement that stores takes its lock on click_batches
 * before its snapshot, so whoever is not among them sees what was committed before. As CREATE INDEX CONCURRENTLY waits, and
 * like it this holds nobody up.
 *
 * @returns false when it is to stop
 */
async function olderTransactionsEnd(sql: Database, stopping: AbortSignal): Promise<boolean> {
  const deadlineMs = performance.now() + OLDER_STATEMENTS_MS;
  for (let older = await storing(sql); ;) {
    if (older.size === 0) return true;
    if (performance.now() > deadlineMs)
      throw new Error(
        `clicks have been on their way into the database for more than ${OLDER_STATEMENTS_MS} ms`,
      );
    if (!(await interval(LOOK_AGAIN_MS, stopping))) return false;
    older = older.intersection(await storing(sql));
  }
}

async function storing(sql: Database): Promise<Set<string>> {
  const rows = await sql<{ id: string }[]>`
    SELECT virtualtransaction AS id FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'click_batches'::regclass AND mode = 'RowExclusiveLock' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  return new Set(rows.map(({ id }) => id));
}
