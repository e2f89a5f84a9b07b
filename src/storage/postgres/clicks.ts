// Click batches in Postgres: one statement, one transaction, one round trip, however many batches.
import type { Agent, ClickBatch, Producer, Profile } from "../../clicks/click.ts";
import type { ClickStore } from "../../clicks/ports.ts";
import { Memo } from "../../lib/memo.ts";
import { isMerged } from "./batch-ranges.ts";
import { asking, type Database, type Queryable, textArray } from "./database.ts";
import { int8Array } from "./int8-array.ts";

/** Profiles that are known to be stored at least; twice as many at most, of some 30 bytes each. */
const REMEMBERED_PROFILES = 20_000;
/** Clicks in one row of the queue, exceeded by at most one batch: a few rows are what a reader in a hurry takes. */
const ROW_CLICKS = 4_000;
/** Postgres's words for "there is such a row already", and for what `queue` makes of a batch that is in a range. */
const STORED_ALREADY = ["23505", "23502"];

export class PostgresClickStore implements ClickStore {
  readonly #sql: Database;
  readonly #producers = new Set<string>();
  readonly #profiles = new Memo<true, bigint>(REMEMBERED_PROFILES);

  constructor(sql: Database) {
    this.#sql = sql;
  }

  /**
   * The ledger row comes first and decides: only if (producer, seq) is new are its clicks queued. What many clicks share is
   * sent once by each process, before the first batch that needs it. Many batches are queued together, which fails if
   * one of them is stored already: then one by one.
   */
  async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    // In the order of the ledger's key, so that two stores with the same batches wait for each other instead of dead-locking.
    const sorted = batches.toSorted(byLedgerKey);
    // A batch that was sent twice, as after a failover, would be queued twice.
    const given = sorted.filter((batch, index) => {
      const before = sorted[index - 1];
      return before === undefined || byLedgerKey(before, batch) !== 0;
    });
    const producers = distinct(given.map((batch) => batch.producer)).filter(
      ({ id }) => !this.#producers.has(id),
    );
    const profiles = distinct(profilesOf(given)).filter(({ id }) => this.#profiles.get(id) === undefined);
    const store = (queueing: typeof queue) =>
      asking(this.#sql, async () => {
        if (producers.length === 0 && profiles.length === 0 && queueing === queue)
          return queueing(this.#sql, given);
        return this.#sql.begin(async (sql) => {
          if (producers.length > 0) await openProducers(sql, producers);
          if (profiles.length > 0) await keepProfiles(sql, profiles);
          return queueing(sql, given);
        });
      });
    const clicks = await store(queue).catch((error: unknown) => {
      if (given.length > 1 && isStoredAlready(error)) return store(queueOneByOne);
      throw error;
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

/**
 * All of them, or the one that is given if it is new.
 * @throws STORED_ALREADY when one of several is not
 */
async function queue(sql: Queryable, batches: readonly ClickBatch[]): Promise<number> {
  const rows = rowsOf(batches);
  const [queued] = await sql<{ clicks: number }[]>`
    WITH fresh AS (
      INSERT INTO click_batches (producer, seq, clicks)
      ${batches.length === 1 ? aloneIfNew(sql, batches) : allOrNone(sql, batches)} RETURNING seq
    ), given AS (
      SELECT ${int8Array(sql, rows.linkIds)} AS link_ids, ${int8Array(sql, rows.afterMs)} AS after_ms,
        ${int8Array(sql, rows.visitors)} AS visitors, ${int8Array(sql, rows.profiles)} AS profiles
    ), queued AS (
      INSERT INTO click_queue (clicks, first_ms, last_ms, link_ids, after_ms, visitors, profiles)
      SELECT last - first + 1, first_ms, last_ms, link_ids[first:last], after_ms[first:last], visitors[first:last],
        profiles[first:last]
      FROM given, unnest(
        ${array(rows.first)}::integer[],
        ${array(rows.last)}::integer[],
        ${array(rows.firstMs)}::bigint[],
        ${array(rows.lastMs)}::bigint[]) AS r(first, last, first_ms, last_ms)
      WHERE EXISTS (SELECT FROM fresh)
      RETURNING clicks
    )
    SELECT coalesce(sum(clicks), 0)::bigint AS clicks FROM queued`;
  return queued?.clicks ?? 0;
}

/** One row to the planner too, which would otherwise expect ten. */
function aloneIfNew(sql: Queryable, [batch]: readonly ClickBatch[]) {
  if (batch === undefined) throw new Error("there is no batch");
  return sql`
    SELECT producer, seq, clicks
    FROM (VALUES (${batch.producer.id}::uuid, ${batch.seq}::bigint, ${batch.clicks.length}::integer)) AS b(producer, seq, clicks)
    WHERE NOT ${isMerged(sql)} ON CONFLICT DO NOTHING`;
}

/** A batch without clicks is refused, and with it all. */
function allOrNone(sql: Queryable, batches: readonly ClickBatch[]) {
  return sql`
    SELECT producer, seq, CASE WHEN NOT ${isMerged(sql)} THEN clicks END
    FROM unnest(
      ${array(batches.map((batch) => batch.producer.id))}::uuid[],
      ${array(batches.map((batch) => batch.seq))}::bigint[],
      ${array(batches.map((batch) => batch.clicks.length))}::integer[]) AS b(producer, seq, clicks)`;
}

/** Those that are new. Only in a transaction are they stored together. */
async function queueOneByOne(sql: Queryable, batches: readonly ClickBatch[]): Promise<number> {
  const queued = await Promise.all(batches.map((batch) => queue(sql, [batch])));
  return queued.reduce((sum, clicks) => sum + clicks, 0);
}

function isStoredAlready(error: unknown): boolean {
  return error instanceof Error && "code" in error && STORED_ALREADY.includes(String(error.code));
}

/** The clicks of all batches, one after another, and how rows of the queue share them. */
interface Rows {
  readonly linkIds: number[];
  /** Since the row's `firstMs`. */
  readonly afterMs: number[];
  readonly visitors: bigint[];
  readonly profiles: bigint[];
  /** Of each row: its clicks, counted from 1, and when the earliest and the latest of them was. */
  readonly first: number[];
  readonly last: number[];
  readonly firstMs: number[];
  readonly lastMs: number[];
}

function rowsOf(batches: readonly ClickBatch[]): Rows {
  const rows: Rows = {
    linkIds: [],
    afterMs: [],
    visitors: [],
    profiles: [],
    first: [],
    last: [],
    firstMs: [],
    lastMs: [],
  };
  let waiting: ClickBatch[] = [];
  let waitingClicks = 0;
  for (const batch of batches) {
    waiting.push(batch);
    waitingClicks += batch.clicks.length;
    if (waitingClicks < ROW_CLICKS) continue;
    addRow(rows, waiting);
    waiting = [];
    waitingClicks = 0;
  }
  if (waiting.length > 0) addRow(rows, waiting);
  return rows;
}

function addRow(rows: Rows, batches: readonly ClickBatch[]): void {
  let [firstMs, lastMs] = [Infinity, -Infinity];
  for (const { clicks } of batches) {
    for (const { atMs } of clicks) {
      if (atMs < firstMs) firstMs = atMs;
      if (atMs > lastMs) lastMs = atMs;
    }
  }
  rows.first.push(rows.linkIds.length + 1);
  for (const { clicks } of batches) {
    for (const click of clicks) {
      rows.linkIds.push(click.linkId);
      rows.afterMs.push(click.atMs - firstMs);
      rows.visitors.push(click.visitor);
      rows.profiles.push(click.profile.id);
    }
  }
  rows.last.push(rows.linkIds.length);
  rows.firstMs.push(firstMs);
  rows.lastMs.push(lastMs);
}

function byLedgerKey(a: ClickBatch, b: ClickBatch): number {
  if (a.producer.id === b.producer.id) return a.seq - b.seq;
  return a.producer.id < b.producer.id ? -1 : 1;
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
