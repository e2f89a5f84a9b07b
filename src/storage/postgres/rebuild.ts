// Rollups computed again from the raw clicks, a day at a time: to prove that they are right, and to mend them if not.
import type { Agent } from "../../clicks/click.ts";
import { type Database, type Queryable, textArray, translating } from "./database.ts";
import {
  addDimensions,
  addTotals,
  DIMENSIONS_LOCK,
  dimensionsOf,
  firstVisits,
  hourOf,
  type Rows,
  TOTALS_LOCK,
} from "./rollup.ts";

export interface RebuiltDay {
  /** UTC, as in 2030-01-31. */
  readonly day: string;
  readonly clicks: number;
  /** Rows that were missing, too many or wrong, by table. */
  readonly differences: { readonly totals: number; readonly dimensions: number; readonly visitors: number };
}

/** Of one set: clicks of one kind are counted in 32 bits. */
const MANY_CLICKS = 1_000_000_000;

/** The days whose clicks are all there: those with retired clicks can't be computed again, their rollups stay as they are. */
export async function rebuildableDays(sql: Database): Promise<string[]> {
  return translating(async () => {
    const rows = await sql<{ day: string }[]>`
      SELECT DISTINCT (at AT TIME ZONE 'UTC')::date::text AS day FROM clicks
      EXCEPT SELECT day::text FROM retired_clicks ORDER BY 1`;
    return rows.map(({ day }) => day);
  });
}

/** One transaction, while no other process rolls anything up. */
export async function rebuildDay(sql: Database, day: string): Promise<RebuiltDay> {
  return translating(() =>
    sql.begin(async (transaction) => {
      await transaction`SELECT set_config('statement_timeout', '0', true), set_config('work_mem', '64MB', true)`;
      await transaction`SELECT pg_advisory_xact_lock(${TOTALS_LOCK}), pg_advisory_xact_lock(${DIMENSIONS_LOCK})`;
      while ((await addTotals(transaction, MANY_CLICKS, "patient")) > 0);
      while ((await addDimensions(transaction, MANY_CLICKS, "patient")) > 0);
      const from = new Date(day);
      const to = new Date(from.getTime() + 86_400_000);
      const clicks = transaction`
        SELECT link_id, ${day}::text::date AS day, at, visitor, profile FROM clicks WHERE at >= ${from} AND at < ${to}`;
      const kinds = transaction`SELECT link_id, day, profile, count(*) AS clicks FROM (${clicks}) AS c GROUP BY 1, 2, 3`;
      const hours = transaction`hour >= ${from} AND hour < ${to}`;
      const [counted] = await transaction<
        { clicks: number }[]
      >`SELECT count(*) AS clicks FROM (${clicks}) AS c`;
      return {
        day,
        clicks: counted?.clicks ?? 0,
        differences: {
          totals: await rebuild(transaction, "link_hours", hours, totalsOf(transaction, clicks)),
          dimensions: await rebuild(
            transaction,
            "link_dims",
            transaction`day = ${day}::text::date`,
            transaction`SELECT link_id, day, dimension, value, clicks, bots FROM (${dimensionsOf(transaction, kinds)}) AS d`,
          ),
          visitors: await rebuildVisitors(transaction, clicks, hours, day),
        },
      };
    }),
  );
}

/** With its id in decimal: as a number it would not be exact. */
type StoredAgent = Omit<Agent, "id"> & { readonly id: string };

/**
 * Verdicts of older rules, passed again. The rollups know nothing of it until their days are rebuilt.
 * @returns how many headers were judged, and for how many the verdict or a name changed
 */
export async function rejudgeAgents(
  sql: Database,
  rules: string,
  judge: (text: string) => Agent,
): Promise<{ judged: number; changed: number }> {
  return translating(async () => {
    const before = await sql<StoredAgent[]>`
      SELECT id::text, text, browser, os, device, bot, rules FROM agents WHERE rules <> ${rules} AND text IS NOT NULL`;
    const after = before.map((agent) => judge(agent.text));
    const changed = after.filter((agent, index) => !sameVerdict(agent, before[index]));
    await sql`
      UPDATE agents SET browser = n.browser, os = n.os, device = n.device, bot = n.bot, rules = ${rules}
      FROM unnest(
        ${`{${before.map((agent) => agent.id).join(",")}}`}::bigint[],
        ${textArray(after.map((agent) => agent.browser))}::text[],
        ${textArray(after.map((agent) => agent.os))}::text[],
        ${textArray(after.map((agent) => agent.device))}::text[],
        ${textArray(after.map((agent) => String(agent.bot)))}::text[]::boolean[]
      ) AS n(id, browser, os, device, bot) WHERE agents.id = n.id`;
    return { judged: after.length, changed: changed.length };
  });
}

function sameVerdict(one: Agent, other: StoredAgent | undefined): boolean {
  return (
    one.browser === other?.browser &&
    one.os === other.os &&
    one.device === other.device &&
    one.bot === other.bot
  );
}

function totalsOf(sql: Queryable, clicks: Rows): Rows {
  return sql`
    SELECT link_id, ${hourOf(sql)} AS hour, count(*) AS clicks,
      count(*) FILTER (WHERE a.bot) AS bots
    FROM (${clicks}) AS c JOIN profiles p ON p.id = c.profile JOIN agents a ON a.id = p.agent GROUP BY 1, 2`;
}

/** Puts `expected` in the place of the rows of a day, if it differs. */
async function rebuild(sql: Queryable, table: string, ofDay: Rows, expected: Rows): Promise<number> {
  await sql`CREATE TEMPORARY TABLE expected ON COMMIT DROP AS ${expected}`;
  const different = await countDifferences(
    sql,
    sql`SELECT * FROM ${sql(table)} WHERE ${ofDay}`,
    sql`TABLE expected`,
  );
  if (different > 0) {
    await sql`DELETE FROM ${sql(table)} WHERE ${ofDay}`;
    await sql`INSERT INTO ${sql(table)} TABLE expected`;
  }
  await sql`DROP TABLE expected`;
  return different;
}

/**
 * Visitors of a link and day are compared as a sum: which hour a visitor was first seen in depends on the order in which
 * clicks arrived, and the raw clicks only know when they happened.
 */
async function rebuildVisitors(sql: Queryable, clicks: Rows, hours: Rows, day: string): Promise<number> {
  await sql`CREATE TEMPORARY TABLE firsts ON COMMIT DROP AS ${firstVisits(sql, clicks)}`;
  const different =
    (await countDifferences(
      sql,
      sql`SELECT link_id, sum(visitors), sum(bots) FROM visitor_hours WHERE ${hours} GROUP BY 1`,
      sql`SELECT link_id, count(*)::numeric, count(*) FILTER (WHERE bot)::numeric FROM firsts GROUP BY 1`,
    )) +
    (await countDifferences(
      sql,
      sql`SELECT link_id, visitor FROM link_visitors WHERE day = ${day}::text::date`,
      sql`SELECT link_id, visitor FROM firsts`,
    ));
  if (different > 0) {
    await sql`DELETE FROM visitor_hours WHERE ${hours}`;
    await sql`DELETE FROM link_visitors WHERE day = ${day}::text::date`;
    await sql`INSERT INTO link_visitors (link_id, day, visitor) SELECT link_id, day, visitor FROM firsts`;
    await sql`
      INSERT INTO visitor_hours (link_id, hour, visitors, bots)
      SELECT link_id, hour, count(*), count(*) FILTER (WHERE bot) FROM firsts GROUP BY 1, 2`;
  }
  await sql`DROP TABLE firsts`;
  return different;
}

async function countDifferences(sql: Queryable, actual: Rows, expected: Rows): Promise<number> {
  const [row] = await sql<{ different: number }[]>`
    SELECT count(*) AS different FROM (
      ((${actual}) EXCEPT (${expected})) UNION ALL ((${expected}) EXCEPT (${actual}))
    ) AS d`;
  return row?.different ?? 0;
}
