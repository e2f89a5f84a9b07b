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
    const times = clicks.map((click) => click.atMs);
    await asking(
      this.#sql,
      () => this.#sql`
        WITH batch AS (
          INSERT INTO click_batches (producer, seq, clicks, first_at, last_at)
          VALUES (${producer}, ${seq}, ${clicks.length}, to_timestamp(${Math.min(...times)}::float8 / 1000),
            to_timestamp(${Math.max(...times)}::float8 / 1000))
          ON CONFLICT (producer, seq) DO NOTHING RETURNING id
        )
        INSERT INTO clicks (link_id, at, visitor, country, referrer, browser, os, device, language, bot, batch)
        SELECT c.link_id, to_timestamp(c.at_ms / 1000), c.visitor, c.country, c.referrer, c.browser, c.os, c.device,
          c.language, c.bot, batch.id
        FROM batch, unnest(
          ${column(clicks, (click) => click.linkId)}::text::bigint[],
          ${column(clicks, (click) => click.atMs)}::text::float8[],
          ${column(clicks, (click) => click.visitor)}::text::bigint[],
          ${column(clicks, (click) => quoteElement(click.country))}::text::text[],
          ${column(clicks, (click) => quoteElement(click.referrer))}::text::text[],
          ${column(clicks, (click) => quoteElement(click.browser))}::text::text[],
          ${column(clicks, (click) => quoteElement(click.os))}::text::text[],
          ${column(clicks, (click) => quoteElement(click.device))}::text::text[],
          ${column(clicks, (click) => quoteElement(click.language))}::text::text[],
          ${column(clicks, (click) => (click.bot ? "t" : "f"))}::text::boolean[]
        ) AS c(link_id, at_ms, visitor, country, referrer, browser, os, device, language, bot)`,
    );
  }
}

/** A Postgres array literal. Ten of these as text cost less than ten typed arrays in the client library. */
function column(clicks: readonly Click[], value: (click: Click) => string | number): string {
  return `{${clicks.map(value).join(",")}}`;
}
