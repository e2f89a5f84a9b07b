// Reads of clicks for people: statistics of a link, and the facts of the ledger.
import { type LedgerFacts, MISSING_SHOWN, type ProducerFacts } from "../../clicks/ledger.ts";
import type { ClickReader } from "../../clicks/ports.ts";
import type { BotFilter, StatsFacts, StatsQuery } from "../../clicks/stats.ts";
import { asking, translating, type Database, type Queryable } from "./database.ts";

export class PostgresClickReader implements ClickReader {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async statsFacts(linkId: number, query: StatsQuery): Promise<StatsFacts> {
    return asking(this.#sql, () =>
      this.#sql.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY", async (sql) => {
        const [moment] = await sql<{ asOfMs: number }[]>`
          SELECT (extract(epoch FROM coalesce(min(stored_at), now())) * 1000)::bigint AS "asOfMs"
          FROM click_batches WHERE NOT rolled_up`;
        const totals = await readTotals(sql, linkId, query);
        const visitors = await readVisitors(sql, linkId, query);
        const uniqueByBucket = new Map(visitors.map((row) => [row.startMs, row.unique]));
        return {
          buckets: totals.map((row) => ({ ...row, unique: uniqueByBucket.get(row.startMs) ?? 0 })),
          unique: await countVisitorDays(sql, linkId, query),
          top: await readTop(sql, linkId, query),
          asOfMs: moment?.asOfMs ?? 0,
        };
      }),
    );
  }

  async ledgerFacts(): Promise<LedgerFacts> {
    return translating(() =>
      this.#sql.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY", async (sql) => {
        await sql`SET LOCAL statement_timeout = 0`;
        const [counts] = await sql<
          { batchClicks: number; storedClicks: number; totalledClicks: number; tailClicks: number }[]
        >`
          SELECT (SELECT coalesce(sum(clicks), 0)::bigint FROM click_batches) AS "batchClicks",
            (SELECT count(*) FROM clicks) AS "storedClicks",
            (SELECT coalesce(sum(clicks), 0)::bigint FROM link_hours) AS "totalledClicks",
            (SELECT coalesce(sum(clicks), 0)::bigint FROM click_batches WHERE NOT rolled_up) AS "tailClicks"`;
        return {
          producers: await readProducers(sql),
          batchClicks: counts?.batchClicks ?? 0,
          storedClicks: counts?.storedClicks ?? 0,
          totalledClicks: counts?.totalledClicks ?? 0,
          tailClicks: counts?.tailClicks ?? 0,
        };
      }),
    );
  }
}

async function readTotals(sql: Queryable, linkId: number, query: StatsQuery) {
  const counted = {
    include: sql`clicks`,
    exclude: sql`clicks - bots`,
    only: sql`bots`,
  }[query.bots];
  return sql<{ startMs: number; clicks: number }[]>`
    SELECT (extract(epoch FROM date_trunc(${query.interval}, hour, 'UTC')) * 1000)::bigint AS "startMs",
      sum(${counted})::bigint AS clicks
    FROM link_hours
    WHERE link_id = ${linkId} AND hour >= ${new Date(query.fromMs)} AND hour < ${new Date(query.toMs)}
    GROUP BY 1 ORDER BY 1`;
}

/** Unique visitors of each bucket. The visitor hash changes every day, so a month counts visitor-days. */
async function readVisitors(sql: Queryable, linkId: number, query: StatsQuery) {
  return sql<{ startMs: number; unique: number }[]>`
    SELECT (extract(epoch FROM date_trunc(${query.interval}, at, 'UTC')) * 1000)::bigint AS "startMs",
      count(DISTINCT visitor) AS "unique"
    FROM clicks WHERE ${inRange(sql, linkId, query)} GROUP BY 1`;
}

async function countVisitorDays(sql: Queryable, linkId: number, query: StatsQuery): Promise<number> {
  const [row] = await sql<{ unique: number }[]>`
    SELECT count(DISTINCT visitor) AS "unique" FROM clicks WHERE ${inRange(sql, linkId, query)}`;
  return row?.unique ?? 0;
}

async function readTop(sql: Queryable, linkId: number, query: StatsQuery) {
  return sql<{ value: string; clicks: number }[]>`
    SELECT ${sql(query.by)} AS value, count(*) AS clicks
    FROM clicks WHERE ${inRange(sql, linkId, query)}
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${query.topLimit}`;
}

function inRange(sql: Queryable, linkId: number, query: StatsQuery) {
  const bots: Record<BotFilter, ReturnType<Queryable>> = {
    include: sql``,
    exclude: sql`AND NOT bot`,
    only: sql`AND bot`,
  };
  return sql`link_id = ${linkId} AND at >= ${new Date(query.fromMs)} AND at < ${new Date(query.toMs)} ${bots[query.bots]}`;
}

async function readProducers(sql: Queryable): Promise<ProducerFacts[]> {
  return sql<ProducerFacts[]>`
    WITH stored AS (
      SELECT producer, max(seq) AS max_seq, count(*) AS batches, sum(clicks)::bigint AS clicks
      FROM click_batches GROUP BY producer
    )
    SELECT p.id, p.recorder, p.ack, p.ended_at IS NOT NULL AS ended, p.last_seq AS "lastSeq",
      coalesce(s.max_seq, 0)::bigint AS "maxSeq", coalesce(s.batches, 0)::bigint AS batches,
      coalesce(s.clicks, 0)::bigint AS clicks, p.dropped,
      CASE WHEN coalesce(s.batches, 0) = greatest(p.last_seq, s.max_seq, 0) THEN '[]' ELSE to_json(ARRAY(
        SELECT n FROM generate_series(1, greatest(p.last_seq, s.max_seq)) AS n
        WHERE NOT EXISTS (SELECT FROM click_batches b WHERE b.producer = p.id AND b.seq = n)
        ORDER BY n LIMIT ${MISSING_SHOWN}
      )) END AS missing
    FROM producers p LEFT JOIN stored s ON s.producer = p.id
    ORDER BY p.started_at, p.id`;
}
