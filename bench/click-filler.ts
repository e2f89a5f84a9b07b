// Clicks of the last two months for links by Zipf's law, put where a worker puts them: into the queue, as batches.
import { randomUUID } from "node:crypto";
import type { Sql } from "./database.ts";

/** By Zipf's law the first of so many has a tenth of all clicks: a million of ten. */
export const LINKS = 900;
export const DAYS = 60;
const DAY_MS = 86_400_000;
/** As a worker packs them under load. */
const BATCH_CLICKS = 500;
/** Of one statement: a second or two. */
const CHUNK_CLICKS = 250_000;
/** For each kind of browser. */
const VISITORS = 50_000;
const PROFILES = 600;
const AGENTS = 60;

export class ClickFiller {
  readonly #sql: Sql;
  readonly #links: readonly string[];
  readonly #producer = randomUUID();
  #batches = 0;

  private constructor(sql: Sql, links: readonly string[]) {
    this.#sql = sql;
    this.#links = links;
  }

  /** Makes the days and the kinds of visits that the clicks need. @throws RangeError when there are too few links */
  static async open(sql: Sql): Promise<ClickFiller> {
    const links = await sql<{ id: string }[]>`SELECT id FROM links ORDER BY id LIMIT ${LINKS}`;
    if (links.length < LINKS) throw new RangeError(`there are only ${links.length} links`);
    const filler = new ClickFiller(
      sql,
      links.map((link) => link.id),
    );
    await filler.#makeDays();
    await filler.#makeKinds();
    return filler;
  }

  get clicks(): number {
    return this.#batches * BATCH_CLICKS;
  }

  /** More clicks, until there are so many; each call spreads its own over all the days, in the order of time. */
  async fillTo(clicks: number, signal: AbortSignal): Promise<void> {
    const start = this.clicks;
    const end = Math.ceil(clicks / BATCH_CLICKS) * BATCH_CLICKS;
    const spanMs = (DAYS - 1) * DAY_MS;
    const stepMs = spanMs / Math.max(1, end - start);
    const startMs = Date.now() - spanMs;
    while (this.clicks < end) {
      signal.throwIfAborted();
      const [from, to] = [this.clicks + 1, Math.min(end, this.clicks + CHUNK_CLICKS)];
      await this.#fillChunk(from, to, startMs + (from - start - 1) * stepMs, stepMs);
      this.#batches = to / BATCH_CLICKS;
    }
  }

  /** Whether clicks are not yet rows, or not yet in all rollups. */
  async waiting(): Promise<boolean> {
    const rows = await this.#sql`
      (SELECT FROM click_queue LIMIT 1) UNION ALL (SELECT FROM rollup_rounds LIMIT 1)`;
    return rows.length > 0;
  }

  /** The link that has the most clicks, and how many rows and visitors of days it has: counted without any rollup. */
  async popular(): Promise<{ code: string; clicks: number; visitors: number }> {
    const [id = "0"] = this.#links;
    const [found] = await this.#sql<{ code: string; clicks: string; visitors: string }[]>`
      SELECT code, (SELECT count(*) FROM clicks WHERE link_id = ${id}) AS clicks, (
        SELECT count(*) FROM (SELECT DISTINCT (at AT TIME ZONE 'UTC')::date, visitor FROM clicks WHERE link_id = ${id}) AS v
      ) AS visitors FROM links WHERE id = ${id}`;
    if (found === undefined) throw new Error(`link ${id} is gone`);
    return { code: found.code, clicks: Number(found.clicks), visitors: Number(found.visitors) };
  }

  /** n ^ random() is Zipf's law (exponent 1) over n things. A visitor has one browser, as in hop, whose hash holds it. */
  async #fillChunk(from: number, to: number, startMs: number, stepMs: number): Promise<void> {
    await this.#sql`
      WITH drawn AS (
        SELECT (n - 1) / ${BATCH_CLICKS}::bigint + 1 AS seq,
          (${startMs}::float8 + (n - ${from}::bigint) * ${stepMs}::float8)::bigint AS at_ms,
          (${this.#arrayOfLinks()}::bigint[])[floor(${LINKS}::int ^ random())::int] AS link_id,
          floor(${PROFILES}::int ^ random())::bigint AS profile, (random() * ${VISITORS}::int)::bigint AS visitor
        FROM generate_series(${from}::bigint, ${to}::bigint) AS n
      ), packed AS MATERIALIZED (
        SELECT seq, min(at_ms) AS first_ms, max(at_ms) AS last_ms, array_agg(link_id) AS link_ids, array_agg(at_ms) AS at_ms,
          array_agg(hashint8extended(visitor, profile % ${AGENTS}::bigint)) AS visitors, array_agg(profile) AS profiles
        FROM drawn GROUP BY seq
      ), batches AS (
        INSERT INTO click_batches (producer, seq, clicks) SELECT ${this.#producer}::uuid, seq, ${BATCH_CLICKS}::int FROM packed
      )
      INSERT INTO click_queue (clicks, first_ms, last_ms, link_ids, after_ms, visitors, profiles)
      SELECT ${BATCH_CLICKS}::int, first_ms, last_ms, link_ids,
        ARRAY(SELECT at - first_ms FROM unnest(at_ms) WITH ORDINALITY AS a(at, place) ORDER BY place), visitors, profiles
      FROM packed ORDER BY seq`;
  }

  #arrayOfLinks(): string {
    return `{${this.#links.join(",")}}`;
  }

  /** hop makes the days that come; this makes those that went, as if it had run then. */
  async #makeDays(): Promise<void> {
    for (let ago = 2; ago <= DAYS; ago++) {
      const day = new Date(Date.now() - ago * DAY_MS).toISOString().slice(0, 10);
      const next = new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
      for (const table of ["clicks", "link_visitors"]) {
        await this.#sql.unsafe(`
          CREATE TABLE IF NOT EXISTS ${table}_${day.replaceAll("-", "")} PARTITION OF ${table}
          FOR VALUES FROM ('${day} 00:00+00') TO ('${next} 00:00+00')`);
      }
    }
  }

  async #makeKinds(): Promise<void> {
    await this.#sql`
      INSERT INTO producers (id, recorder, ack) VALUES (${this.#producer}, 'stream', 'durable')`;
    await this.#sql`
      INSERT INTO agents (id, text, browser, os, device, bot, rules)
      SELECT n, 'benchmark ' || n, 'browser ' || n % 12, 'system ' || n % 6,
        CASE WHEN n % 10 = 0 THEN 'bot' WHEN n % 2 = 0 THEN 'mobile' ELSE 'desktop' END, n % 10 = 0, 'benchmark'
      FROM generate_series(0, ${AGENTS}::int - 1) AS n`;
    await this.#sql`
      INSERT INTO profiles (id, country, referrer, language, agent)
      SELECT n, chr(65 + n % 20) || chr(65 + n % 7), 'site' || n % 100 || '.example', 'l' || chr(97 + n % 23),
        n % ${AGENTS}::int
      FROM generate_series(1, ${PROFILES}::int) AS n`;
  }
}
