// Click batches in Postgres: one statement, one transaction, one round trip a batch.
import type { Click, ClickBatch } from "../../clicks/click.ts";
import type { ClickStore, Producer } from "../../clicks/ports.ts";
import { asking, type Database, quoteElement } from "./database.ts";

export class PostgresClickStore implements ClickStore {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async openProducer({ id, recorder, ack }: Producer): Promise<void> {
    await asking(
      () => this.#sql`
        INSERT INTO producers (id, recorder, ack) VALUES (${id}, ${recorder}, ${ack}) ON CONFLICT (id) DO NOTHING`,
    );
  }

  async closeProducer(id: string, lastSeq: number, dropped: Readonly<Record<string, number>>): Promise<void> {
    await asking(
      () => this.#sql`
        UPDATE producers SET ended_at = now(), last_seq = ${lastSeq}, dropped = ${JSON.stringify(dropped)}::text::jsonb
        WHERE id = ${id}`,
    );
  }

  /**
   * The ledger row comes first and decides: only if (producer, seq) is new do its clicks and totals count. Totals are
   * updated in the order of their keys, so that two processes cannot deadlock.
   */
  async storeBatch({ producer, seq, clicks }: ClickBatch): Promise<void> {
    await asking(
      () => this.#sql`
        WITH batch AS (
          INSERT INTO click_batches (producer, seq, clicks) VALUES (${producer}, ${seq}, ${clicks.length})
          ON CONFLICT DO NOTHING RETURNING seq
        ), incoming AS MATERIALIZED (
          SELECT r.link_id, to_timestamp(r.at_ms / 1000.0) AS at, r.visitor, r.country, r.referrer, r.browser, r.os,
            r.device, r.language, r.bot
          FROM batch, unnest(
            ${column(clicks, (click) => click.linkId)}::text::bigint[],
            ${column(clicks, (click) => click.atMs)}::text::bigint[],
            ${column(clicks, (click) => click.visitor)}::text::bigint[],
            ${column(clicks, (click) => quoteElement(click.country))}::text::text[],
            ${column(clicks, (click) => quoteElement(click.referrer))}::text::text[],
            ${column(clicks, (click) => quoteElement(click.browser))}::text::text[],
            ${column(clicks, (click) => quoteElement(click.os))}::text::text[],
            ${column(clicks, (click) => quoteElement(click.device))}::text::text[],
            ${column(clicks, (click) => quoteElement(click.language))}::text::text[],
            ${column(clicks, (click) => (click.bot ? "t" : "f"))}::text::boolean[]
          ) AS r(link_id, at_ms, visitor, country, referrer, browser, os, device, language, bot)
        ), stored AS (
          INSERT INTO clicks (link_id, at, visitor, country, referrer, browser, os, device, language, bot)
          SELECT * FROM incoming
        )
        INSERT INTO link_hours (link_id, hour, clicks, bots)
        SELECT link_id, date_trunc('hour', at, 'UTC'), count(*), count(*) FILTER (WHERE bot)
        FROM incoming GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (link_id, hour)
        DO UPDATE SET clicks = link_hours.clicks + excluded.clicks, bots = link_hours.bots + excluded.bots`,
    );
  }
}

/** A Postgres array literal. Ten of these as text cost less than ten typed arrays in the client library. */
function column(clicks: readonly Click[], value: (click: Click) => string | number): string {
  let literal = "{";
  for (const click of clicks) {
    if (literal.length > 1) literal += ",";
    literal += value(click);
  }
  return `${literal}}`;
}
