// Click batches in Postgres: one statement, one transaction, one round trip a batch.
import type { Click, ClickBatch, Profile } from "../../clicks/click.ts";
import type { ClickStore, Producer } from "../../clicks/ports.ts";
import { asking, type Database, textArray } from "./database.ts";

export class PostgresClickStore implements ClickStore {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async openProducer({ id, recorder, ack }: Producer): Promise<void> {
    await asking(
      this.#sql,
      () => this.#sql`
        INSERT INTO producers (id, recorder, ack) VALUES (${id}, ${recorder}, ${ack}) ON CONFLICT (id) DO NOTHING`,
    );
  }

  async closeProducer(id: string, lastSeq: number, dropped: Readonly<Record<string, number>>): Promise<void> {
    await asking(
      this.#sql,
      () => this.#sql`
        UPDATE producers SET ended_at = now(), last_seq = ${lastSeq}, dropped = ${JSON.stringify(dropped)}::text::jsonb
        WHERE id = ${id}`,
    );
  }

  /** The ledger row comes first and decides: only if (producer, seq) is new are its clicks inserted. */
  async storeBatch({ producer, seq, clicks }: ClickBatch): Promise<void> {
    const { profiles, numbers } = profilesOf(clicks);
    const times = clicks.map((click) => click.atMs);
    const firstMs = Math.min(...times);
    await asking(
      this.#sql,
      () => this.#sql`
        WITH batch AS (
          INSERT INTO click_batches (producer, seq, clicks, first_at, last_at)
          VALUES (${producer}, ${seq}, ${clicks.length}, to_timestamp(${firstMs}::float8 / 1000),
            to_timestamp(${Math.max(...times)}::float8 / 1000))
          ON CONFLICT (producer, seq) DO NOTHING RETURNING id
        )
        INSERT INTO clicks (link_id, at, visitor, country, referrer, browser, os, device, language, bot, batch)
        SELECT c.link_id, to_timestamp((${firstMs}::float8 + c.after_ms) / 1000), c.visitor, p.country, p.referrer,
          p.browser, p.os, p.device, p.language, p.bot, batch.id
        FROM batch, unnest(
          ${array(clicks.map((click) => click.linkId))}::bigint[],
          ${array(times.map((atMs) => atMs - firstMs))}::float8[],
          ${array(clicks.map((click) => click.visitor))}::bigint[],
          ${array(numbers)}::integer[]
        ) AS c(link_id, after_ms, visitor, profile)
        JOIN unnest(
          ${textArray(profiles.map((profile) => profile.country))}::text[],
          ${textArray(profiles.map((profile) => profile.referrer))}::text[],
          ${textArray(profiles.map((profile) => profile.browser))}::text[],
          ${textArray(profiles.map((profile) => profile.os))}::text[],
          ${textArray(profiles.map((profile) => profile.device))}::text[],
          ${textArray(profiles.map((profile) => profile.language))}::text[],
          ${array(profiles.map((profile) => (profile.bot ? "t" : "f")))}::boolean[]
        ) WITH ORDINALITY AS p(country, referrer, browser, os, device, language, bot, number) ON p.number = c.profile`,
    );
  }
}

/**
 * The profiles of a batch and, for each click, the number of its own, from 1. Clicks of one moment have few, and their texts
 * would be most of what is sent.
 */
function profilesOf(clicks: readonly Click[]): { profiles: readonly Profile[]; numbers: readonly number[] } {
  const known = new Map<Profile, number>();
  const numbers = clicks.map(({ profile }) => {
    const number = known.get(profile) ?? known.size + 1;
    known.set(profile, number);
    return number;
  });
  return { profiles: [...known.keys()], numbers };
}

/** A Postgres array literal of things that need no quotes. */
function array(values: readonly (string | number)[]): string {
  return `{${values.join(",")}}`;
}
