// Click batches in Postgres: one statement, one transaction, one round trip, however many batches.
import type { Agent, ClickBatch, Producer, Profile } from "../../clicks/click.ts";
import type { ClickStore } from "../../clicks/ports.ts";
import { Memo } from "../../lib/memo.ts";
import { asking, type Database, type Queryable, textArray } from "./database.ts";

/** Profiles that are known to be stored at least; twice as many at most, of some 30 bytes each. */
const REMEMBERED_PROFILES = 20_000;

export class PostgresClickStore implements ClickStore {
  readonly #sql: Database;
  readonly #producers = new Set<string>();
  readonly #profiles = new Memo<true>(REMEMBERED_PROFILES);

  constructor(sql: Database) {
    this.#sql = sql;
  }

  /**
   * The ledger row comes first and decides: only if (producer, seq) is new are its clicks queued. What many clicks share is
   * sent once by each process, before the first batch that needs it.
   */
  async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    // A set that holds one batch twice would queue it twice.
    const given = [...new Map(batches.map((batch) => [`${batch.producer.id} ${batch.seq}`, batch])).values()];
    const producers = distinct(given.map((batch) => batch.producer)).filter(
      ({ id }) => !this.#producers.has(id),
    );
    const profiles = distinct(profilesOf(given)).filter(({ id }) => this.#profiles.get(id) === undefined);
    const clicks = await asking(this.#sql, async () => {
      if (producers.length === 0 && profiles.length === 0) return queue(this.#sql, given);
      return this.#sql.begin(async (sql) => {
        if (producers.length > 0) await openProducers(sql, producers);
        if (profiles.length > 0) await keepProfiles(sql, profiles);
        return queue(sql, given);
      });
    });
    for (const { id } of producers) this.#producers.add(id);
    for (const { id } of profiles) this.#profiles.set(id, true);
    return clicks;
  }

  /** Makes a producer known before its first batch; repeating it is harmless. */
  async openProducer(producer: Producer): Promise<void> {
    await asking(this.#sql, () => openProducers(this.#sql, [producer]));
  }

  async closeProducer(
    producer: Producer,
    lastSeq: number,
    dropped: Readonly<Record<string, number>>,
  ): Promise<void> {
    this.#producers.delete(producer.id);
    await asking(
      this.#sql,
      () => this.#sql`
        INSERT INTO producers (id, recorder, ack, ended_at, last_seq, dropped)
        VALUES (${producer.id}, ${producer.recorder}, ${producer.ack}, now(), ${lastSeq},
          ${JSON.stringify(dropped)}::text::jsonb)
        ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, last_seq = excluded.last_seq,
          dropped = excluded.dropped`,
    );
  }
}

async function openProducers(sql: Queryable, producers: readonly Producer[]): Promise<void> {
  await sql`
    INSERT INTO producers (id, recorder, ack)
    SELECT * FROM unnest(
      ${textArray(producers.map((producer) => producer.id))}::uuid[],
      ${textArray(producers.map((producer) => producer.recorder))}::text[],
      ${textArray(producers.map((producer) => producer.ack))}::text[])
    ON CONFLICT (id) DO NOTHING`;
}

/** In the order of their ids, so that two processes with the same new profiles wait for each other instead of dead-locking. */
async function keepProfiles(sql: Queryable, profiles: readonly Profile[]): Promise<void> {
  const agents = distinct(profiles.map((profile) => profile.agent));
  await sql`
    INSERT INTO agents (id, text, browser, os, device, bot, rules)
    SELECT * FROM unnest(
      ${array(agents.map((agent) => agent.id))}::bigint[],
      ${column(agents, (agent) => agent.text)}::text[],
      ${column(agents, (agent) => agent.browser)}::text[],
      ${column(agents, (agent) => agent.os)}::text[],
      ${column(agents, (agent) => agent.device)}::text[],
      ${array(agents.map((agent) => (agent.bot ? "t" : "f")))}::boolean[],
      ${column(agents, (agent) => agent.rules)}::text[]) AS a(id)
    ORDER BY a.id ON CONFLICT (id) DO NOTHING`;
  await sql`
    INSERT INTO profiles (id, country, referrer, language, agent)
    SELECT * FROM unnest(
      ${array(profiles.map((profile) => profile.id))}::bigint[],
      ${column(profiles, (profile) => profile.country)}::text[],
      ${column(profiles, (profile) => profile.referrer)}::text[],
      ${column(profiles, (profile) => profile.language)}::text[],
      ${array(profiles.map((profile) => profile.agent.id))}::bigint[]) AS p(id)
    ORDER BY p.id ON CONFLICT (id) DO NOTHING`;
}

async function queue(sql: Queryable, batches: readonly ClickBatch[]): Promise<number> {
  const columns = batches.map(columnsOf);
  const [queued] = await sql<{ clicks: number }[]>`
    WITH given AS (
      SELECT * FROM unnest(
        ${array(batches.map((batch) => batch.producer.id))}::uuid[],
        ${array(batches.map((batch) => batch.seq))}::bigint[],
        ${array(batches.map((batch) => batch.clicks.length))}::integer[],
        ${array(columns.map(({ firstMs }) => firstMs))}::bigint[],
        ${array(columns.map(({ lastMs }) => lastMs))}::bigint[],
        ${literalArray(columns.map(({ linkIds }) => linkIds))}::text[],
        ${literalArray(columns.map(({ afterMs }) => afterMs))}::text[],
        ${literalArray(columns.map(({ visitors }) => visitors))}::text[],
        ${literalArray(columns.map(({ profiles }) => profiles))}::text[]
      ) AS g(producer, seq, clicks, first_ms, last_ms, link_ids, after_ms, visitors, profiles)
    ), fresh AS (
      INSERT INTO click_batches (producer, seq, clicks) SELECT producer, seq, clicks FROM given
      ON CONFLICT DO NOTHING RETURNING producer, seq
    ), queued AS (
      INSERT INTO click_queue (clicks, first_ms, last_ms, link_ids, after_ms, visitors, profiles)
      SELECT clicks, first_ms, last_ms, link_ids::bigint[], after_ms::bigint[], visitors::bigint[], profiles::bigint[]
      FROM given JOIN fresh USING (producer, seq)
      RETURNING clicks
    )
    SELECT coalesce(sum(clicks), 0)::bigint AS clicks FROM queued`;
  return queued?.clicks ?? 0;
}

/** The clicks of a batch as the text of array literals, because an array of arrays must be rectangular. */
interface Columns {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly linkIds: string;
  /** Since `firstMs`. */
  readonly afterMs: string;
  readonly visitors: string;
  readonly profiles: string;
}

function columnsOf({ clicks }: ClickBatch): Columns {
  let [firstMs, lastMs] = [Infinity, -Infinity];
  for (const { atMs } of clicks) {
    if (atMs < firstMs) firstMs = atMs;
    if (atMs > lastMs) lastMs = atMs;
  }
  const linkIds: number[] = [];
  const afterMs: number[] = [];
  const visitors: bigint[] = [];
  const profiles: string[] = [];
  for (const click of clicks) {
    linkIds.push(click.linkId);
    afterMs.push(click.atMs - firstMs);
    visitors.push(click.visitor);
    profiles.push(click.profile.id);
  }
  return {
    firstMs,
    lastMs,
    linkIds: array(linkIds),
    afterMs: array(afterMs),
    visitors: array(visitors),
    profiles: array(profiles),
  };
}

/** Each once; clicks of one kind share one object. */
function profilesOf(batches: readonly ClickBatch[]): Set<Profile> {
  const profiles = new Set<Profile>();
  for (const { clicks } of batches) for (const { profile } of clicks) profiles.add(profile);
  return profiles;
}

function column<T>(rows: readonly T[], read: (row: T) => string): string {
  return textArray(rows.map(read));
}

/** The first of each id. */
function distinct<T extends Producer | Profile | Agent>(all: Iterable<T>): T[] {
  return [...new Map(Array.from(all, (one) => [one.id, one])).values()];
}

/** A Postgres array literal of things that need no quotes. */
function array(values: readonly (string | number | bigint)[]): string {
  return `{${values.join(",")}}`;
}

/** An array literal of texts that hold no quotes and no backslashes. */
function literalArray(values: readonly string[]): string {
  return `{"${values.join('","')}"}`;
}
