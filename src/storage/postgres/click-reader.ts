// Reads of clicks for people: statistics of a link, and the facts of the ledger.
import { type LedgerFacts, MISSING_SHOWN, type ProducerFacts } from "../../clicks/ledger.ts";
import type { ClickReader } from "../../clicks/ports.ts";
import type { BotFilter, StatsFacts, StatsQuery } from "../../clicks/stats.ts";
import type { BatchName } from "../../clicks/transit.ts";
import { isMerged, storedRanges } from "./batch-ranges.ts";
import { asking, type Database, type Queryable, textArray, translating } from "./database.ts";

export class PostgresClickReader implements ClickReader {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async statsFacts(linkId: number, query: StatsQuery): Promise<StatsFacts> {
    return asking(this.#sql, () =>
      this.#sql.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY", async (sql) => {
        const [moment] = await sql<{ asOfMs: number }[]>`
          SELECT (extract(epoch FROM least(
            (SELECT min(stored_at) FROM click_queue), (SELECT min(stored_at) FROM rollup_rounds), now()
          )) * 1000)::bigint AS "asOfMs"`;
        const buckets = await readBuckets(sql, linkId, query);
        return {
          buckets,
          unique: buckets.reduce((sum, bucket) => sum + bucket.unique, 0),
          top: await readTop(sql, linkId, query),
          asOfMs: moment?.asOfMs ?? 0,
        };
      }),
    );
  }

  async ledgerFacts(moving: readonly BatchName[] = []): Promise<LedgerFacts> {
    return translating(() =>
      this.#sql.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY", async (sql) => {
        await sql`SET LOCAL statement_timeout = 0`;
        const [counts] = await sql<
          ({ rows: number } & Omit<LedgerFacts, "producers" | "storedClicks" | "landed">)[]
        >`
          SELECT (SELECT coalesce(sum(clicks), 0)::bigint FROM (${storedRanges(sql)}) AS s) AS "batchClicks",
            (SELECT coalesce(sum(clicks), 0)::bigint FROM click_queue) AS "queuedClicks",
            (SELECT count(*) FROM clicks) AS rows,
            (SELECT coalesce(sum(clicks), 0)::bigint FROM retired_clicks) AS "retiredClicks",
            (SELECT coalesce(sum(clicks), 0)::bigint FROM link_hours) AS "totalledClicks",
            (SELECT coalesce(sum(clicks), 0)::bigint FROM link_dims WHERE dimension = 'country') AS "sortedClicks",
            (SELECT coalesce(sum(clicks), 0)::bigint FROM rollup_rounds) AS "unsortedClicks"`;
        if (counts === undefined) throw new Error("the ledger answered nothing");
        const { rows, ...facts } = counts;
        return {
          producers: await readProducers(sql),
          storedClicks: rows + facts.queuedClicks,
          ...facts,
          landed: await readLanded(sql, moving),
        };
      }),
    );
  }
}

/** Clicks and visitors of each bucket that has any. */
async function readBuckets(sql: Queryable, linkId: number, query: StatsQuery) {
  const range = sql`link_id = ${linkId} AND hour >= ${new Date(query.fromMs)} AND hour < ${new Date(query.toMs)}`;
  return sql<{ startMs: number; clicks: number; unique: number }[]>`
    SELECT (extract(epoch FROM date_trunc(${query.interval}, hour, 'UTC')) * 1000)::bigint AS "startMs",
      sum(clicks)::bigint AS clicks, sum(visitors)::bigint AS "unique"
    FROM (
      SELECT hour, ${counted(sql, "clicks", query.bots)} AS clicks, 0 AS visitors FROM link_hours WHERE ${range}
      UNION ALL
      SELECT hour, 0, ${counted(sql, "visitors", query.bots)} FROM visitor_hours WHERE ${range}
    ) AS hours
    GROUP BY 1 ORDER BY 1`;
}

/** Of the whole UTC days that the range touches: dimensions are kept by day. */
async function readTop(sql: Queryable, linkId: number, query: StatsQuery) {
  return sql<{ value: string; clicks: number }[]>`
    SELECT value, sum(${counted(sql, "clicks", query.bots)})::bigint AS clicks
    FROM link_dims
    WHERE link_id = ${linkId} AND dimension = ${query.by}::text::click_dimension::text::click_dimension
      AND day >= (${new Date(query.fromMs)}::timestamptz AT TIME ZONE 'UTC')::date
      AND day <= (${new Date(query.toMs - 1)}::timestamptz AT TIME ZONE 'UTC')::date
    GROUP BY 1 HAVING sum(${counted(sql, "clicks", query.bots)}) > 0
    ORDER BY 2 DESC, 1 LIMIT ${query.topLimit}`;
}

/** Rollups keep everybody and, of those, bots. */
function counted(sql: Queryable, everybody: "clicks" | "visitors", filter: BotFilter) {
  return {
    include: sql`${sql(everybody)}`,
    exclude: sql`${sql(everybody)} - bots`,
    only: sql`bots`,
  }[filter];
}

async function readProducers(sql: Queryable): Promise<ProducerFacts[]> {
  return sql<ProducerFacts[]>`
    WITH stored AS (
      SELECT producer, max(last) AS max_seq, sum(last - first + 1) AS batches, sum(clicks) AS clicks
      FROM (${storedRanges(sql)}) AS s GROUP BY producer
    )
    SELECT p.id, p.recorder, p.ack, p.ended_at IS NOT NULL AS ended, p.last_seq AS "lastSeq",
      coalesce(s.max_seq, 0)::bigint AS "maxSeq", coalesce(s.batches, 0)::bigint AS batches,
      coalesce(s.clicks, 0)::bigint AS clicks, p.dropped,
      CASE WHEN coalesce(s.batches, 0) = greatest(p.last_seq, s.max_seq, 0) THEN '[]' ELSE to_json(ARRAY(
        SELECT n FROM (
          SELECT lag(last, 1, 0::bigint) OVER (ORDER BY first) + 1 AS gap_first, first - 1 AS gap_last
          FROM (${storedRanges(sql)}) AS own WHERE producer = p.id
          UNION ALL SELECT coalesce(s.max_seq, 0) + 1, coalesce(p.last_seq, 0)
        ) AS gaps, generate_series(gap_first, least(gap_last, gap_first + ${MISSING_SHOWN - 1})) AS n
        ORDER BY n LIMIT ${MISSING_SHOWN}
      )) END AS missing
    FROM producers p LEFT JOIN stored s ON s.producer = p.id
    ORDER BY p.started_at, p.id`;
}

/** A batch that hop did not write may have a name that none of ours has. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

async function readLanded(sql: Queryable, moving: readonly BatchName[]): Promise<BatchName[]> {
  const named = moving.filter(({ producer, seq }) => UUID.test(producer) && Number.isSafeInteger(seq));
  if (named.length === 0) return [];
  return sql<BatchName[]>`
    SELECT b.producer, b.seq
    FROM unnest(
      ${textArray(named.map(({ producer }) => producer))}::uuid[],
      ${textArray(named.map(({ seq }) => String(seq)))}::bigint[]) AS b(producer, seq)
    WHERE ${isMerged(sql)} OR EXISTS (SELECT FROM click_batches s WHERE s.producer = b.producer AND s.seq = b.seq)`;
}
