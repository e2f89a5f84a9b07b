// Adds stored clicks to the hourly totals, in sets and exactly once.
import type { Rollup } from "../../clicks/rollup.ts";
import { asking, type Database } from "./database.ts";

/** Any constant will do; all hop processes use this one. */
const LOCK = 7_465_002;

export class PostgresRollup implements Rollup {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  /**
   * One transaction marks batches and adds their clicks: after a crash both happened or neither did. A batch that commits
   * late is simply taken by a later round. The lock makes rounds of all processes follow one another.
   */
  async rollUp(maxClicks: number): Promise<number> {
    return asking(this.#sql, () =>
      this.#sql.begin(async (sql) => {
        await sql`SELECT pg_advisory_xact_lock(${LOCK})`;
        const [taken] = await sql<{ clicks: number; ids: string; firstAt: string; lastAt: string }[]>`
          WITH tail AS (
            SELECT id, clicks, sum(clicks) OVER (ORDER BY id) AS running
            FROM (SELECT id, clicks FROM click_batches WHERE NOT rolled_up ORDER BY id LIMIT ${maxClicks}) AS oldest
          ), taken AS (
            UPDATE click_batches SET rolled_up = true
            WHERE id IN (SELECT id FROM tail WHERE running - clicks < ${maxClicks}) AND NOT rolled_up
            RETURNING id, clicks, first_at, last_at
          )
          SELECT coalesce(sum(clicks), 0)::bigint AS clicks, coalesce(array_agg(id), '{}')::text AS ids,
            min(first_at)::text AS "firstAt", max(last_at)::text AS "lastAt"
          FROM taken`;
        if (taken === undefined || taken.clicks === 0) return 0;
        // In the order of the keys: touching pages in order is cheaper.
        await sql`
          INSERT INTO link_hours (link_id, hour, clicks, bots)
          SELECT link_id, date_trunc('hour', at, 'UTC'), count(*), count(*) FILTER (WHERE bot)
          FROM clicks
          WHERE batch = ANY (${taken.ids}::text::bigint[])
            AND at BETWEEN ${taken.firstAt}::text::timestamptz AND ${taken.lastAt}::text::timestamptz
          GROUP BY 1, 2 ORDER BY 1, 2
          ON CONFLICT (link_id, hour)
          DO UPDATE SET clicks = link_hours.clicks + excluded.clicks, bots = link_hours.bots + excluded.bots`;
        return taken.clicks;
      }),
    );
  }
}
