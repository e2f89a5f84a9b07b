// Clicks of the last 30 days for one popular link and many others, put where a worker puts them: into the queue, as batches.
import { randomUUID } from "node:crypto";
import type { Sql } from "./database.ts";

const DAYS = 30;
const DAY_MS = 86_400_000;
const BATCH_CLICKS = 50;
/** Of one statement: a second or two. */
const CHUNK_CLICKS = 250_000;
const VISITORS = 500_000;
const PROFILES = 300;
const AGENTS = 60;
/** One click in so many is of the popular link. */
const POPULAR_ONE_IN = 10;

export class ClickFiller {
  readonly #sql: Sql;
  readonly #popular: number;
  readonly #producer = randomUUID();
  #batches = 0;

  private constructor(sql: Sql, popular: number) {
    this.#sql = sql;
    this.#popular = popular;
  }

  /** Makes the days and the kinds of visits that the clicks need. */
  static async open(sql: Sql, popularCode: string): Promise<ClickFiller> {
    const [link] = await sql<{ id: string }[]>`SELECT id FROM links WHERE code = ${popularCode}`;
    if (link === undefined) throw new Error(`there is no link ${popularCode}`);
    const filler = new ClickFiller(sql, Number(link.id));
    await filler.#makeDays();
    await filler.#makeKinds();
    return filler;
  }

  get clicks(): number {
    return this.#batches * BATCH_CLICKS;
  }

  /** More clicks, until there are so many; each call spreads its own over all the days, in the order of time. */
  async fillTo(clicks: number, signal: AbortSignal): Promise<void> {
    const last = Math.ceil(clicks / BATCH_CLICKS);
    const first = this.#batches + 1;
    const stepMs = ((DAYS - 1) * DAY_MS) / Math.max(1, last - this.#batches);
    const startMs = Date.now() - (DAYS - 1) * DAY_MS;
    while (this.#batches < last) {
      signal.throwIfAborted();
      const from = this.#batches + 1;
      const to = Math.min(last, this.#batches + CHUNK_CLICKS / BATCH_CLICKS);
      await this.#fillBatches(from, to, startMs + (from - first) * stepMs, stepMs);
      this.#batches = to;
    }
  }

  /** Whether clicks are not yet rows, or not yet in all rollups. */
  async waiting(): Promise<boolean> {
    const rows = await this.#sql`
      (SELECT FROM click_queue LIMIT 1) UNION ALL (SELECT FROM rollup_rounds LIMIT 1)`;
    return rows.length > 0;
  }

  async clicksOfLink(): Promise<number> {
    const [total] = await this.#sql<{ clicks: string }[]>`
      SELECT sum(clicks) AS clicks FROM link_hours WHERE link_id = ${this.#popular}`;
    return Number(total?.clicks ?? 0);
  }

  /** n ^ random() is Zipf's law (exponent 1) over n things. The zeros make Postgres draw anew for each batch and each click. */
  async #fillBatches(from: number, to: number, startMs: number, stepMs: number): Promise<void> {
    await this.#sql`
      WITH known AS MATERIALIZED (
        SELECT (SELECT array_agg(id) FROM profiles) AS profiles, (SELECT array_agg(id) FROM links) AS links
      ), drawn AS MATERIALIZED (
        SELECT seq, (${startMs}::float8 + (seq - ${from}::bigint) * ${stepMs}::float8)::bigint AS first_ms, c.*
        FROM generate_series(${from}::bigint, ${to}::bigint) AS seq, known, LATERAL (
          SELECT array_agg(CASE WHEN random() < 1.0 / ${POPULAR_ONE_IN}::int THEN ${this.#popular}::bigint
              ELSE known.links[floor(cardinality(known.links) ^ random())::int + 0 * n] END) AS link_ids,
            array_agg((random() * 1000)::bigint) AS after_ms,
            array_agg(hashint8extended((random() * ${VISITORS}::int)::bigint, 7)) AS visitors,
            array_agg(known.profiles[floor(cardinality(known.profiles) ^ random())::int + 0 * n]) AS profiles
          FROM generate_series(1, (${BATCH_CLICKS}::bigint + 0 * seq)::int) AS n
        ) AS c
      ), batches AS (
        INSERT INTO click_batches (producer, seq, clicks) SELECT ${this.#producer}::uuid, seq, ${BATCH_CLICKS}::int FROM drawn
      )
      INSERT INTO click_queue (clicks, first_ms, last_ms, link_ids, after_ms, visitors, profiles)
      SELECT ${BATCH_CLICKS}::int, first_ms, first_ms + 1000, link_ids, after_ms, visitors, profiles FROM drawn ORDER BY seq`;
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
      FROM generate_series(1, ${AGENTS}::int) AS n`;
    await this.#sql`
      INSERT INTO profiles (id, country, referrer, language, agent)
      SELECT n, chr(65 + n % 20) || chr(65 + n % 7), 'site' || n % 30 || '.example', 'l' || chr(97 + n % 9),
        1 + n % ${AGENTS}::int
      FROM generate_series(1, ${PROFILES}::int) AS n`;
  }
}
