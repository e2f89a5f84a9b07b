// Links in Postgres.
import { DEFAULT_DOMAIN_ID, type Link, type LinkStatus, type Route } from "../../links/link.ts";
import type { LinkChange, LinkQuery, LinkStore, NewLink } from "../../links/ports.ts";
import { asking, type Queryable, textArray } from "./database.ts";

interface LinkRow {
  readonly id: number;
  readonly code: string;
  readonly target: string;
  readonly title: string | null;
  readonly tags: string[];
  readonly status: LinkStatus;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly expiresAt: Date | null;
  readonly deletedAt: Date | null;
  readonly clicks: number;
}

interface RouteRow {
  readonly code: string;
  readonly linkId: number;
  readonly version: number;
  readonly target: string;
  readonly status: LinkStatus;
  readonly expiresAtMs: number | null;
  readonly deleted: boolean;
}

export class PostgresLinkStore implements LinkStore {
  readonly #sql: Queryable;

  constructor(sql: Queryable) {
    this.#sql = sql;
  }

  async insert(links: readonly NewLink[]): Promise<readonly (Link | undefined)[]> {
    const sql = this.#sql;
    // One JSON parameter: arrays of arrays (tags) have no plain form as a parameter, and one statement serves any number.
    const rows = JSON.stringify(
      links.map((link) => ({
        code: link.code,
        target: link.url,
        title: link.title,
        tags: link.tags,
        status: link.status,
        chosen: link.chosen,
        expires_at: link.expiresAt,
      })),
    );
    const made = await asking(
      this.#sql,
      () => sql<LinkRow[]>`
        INSERT INTO links (domain_id, code, target, title, tags, status, chosen, expires_at)
        SELECT ${DEFAULT_DOMAIN_ID}, code, target, title, tags, status, chosen, expires_at
        FROM jsonb_to_recordset(${rows}::text::jsonb)
          AS r(code text, target text, title text, tags text[], status smallint, chosen boolean, expires_at timestamptz)
        ON CONFLICT ON CONSTRAINT links_code_key DO NOTHING
        RETURNING id, code, target, title, to_json(tags) AS tags, status, created_at AS "createdAt", updated_at AS "updatedAt",
          expires_at AS "expiresAt", deleted_at AS "deletedAt", 0::bigint AS clicks`,
    );
    const byCode = new Map(made.map((row) => [row.code, toLink(row)]));
    return links.map(({ code }) => {
      const link = byCode.get(code);
      // A code that is twice in this call belongs to the first.
      byCode.delete(code);
      return link;
    });
  }

  async findRoutes(codes: readonly string[]): Promise<readonly (Route | undefined)[]> {
    const sql = this.#sql;
    const rows = await asking(
      this.#sql,
      () => sql<RouteRow[]>`
        SELECT code, id AS "linkId", version, target, status, (extract(epoch FROM expires_at) * 1000)::float8 AS "expiresAtMs",
          deleted_at IS NOT NULL AS deleted
        FROM links WHERE domain_id = ${DEFAULT_DOMAIN_ID} AND code = ANY (${textArray(codes)}::text[])`,
    );
    const byCode = new Map<string, Route>();
    for (const { code, linkId, version, target, status, expiresAtMs, deleted } of rows) {
      byCode.set(code, {
        linkId,
        version,
        target,
        status,
        expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
        deleted,
      });
    }
    return codes.map((code) => byCode.get(code));
  }

  async find(code: string): Promise<Link | undefined> {
    const sql = this.#sql;
    const [row] = await asking(
      this.#sql,
      () => sql<LinkRow[]>`
        SELECT ${linkColumns(sql)} FROM links WHERE domain_id = ${DEFAULT_DOMAIN_ID} AND code = ${code}`,
    );
    return row && toLink(row);
  }

  async list(query: LinkQuery): Promise<readonly Link[]> {
    const sql = this.#sql;
    const { limit, beforeId, text, tag } = query;
    const rows = await asking(
      this.#sql,
      () => sql<LinkRow[]>`
        SELECT ${linkColumns(sql)} FROM links
        WHERE deleted_at IS NULL
          ${beforeId === undefined ? sql`` : sql`AND id < ${beforeId}`}
          ${tag === undefined ? sql`` : sql`AND tags @> ${textArray([tag])}::text[]`}
          ${text === undefined ? sql`` : sql`AND (code || ' ' || coalesce(title, '') || ' ' || target) ILIKE ${containing(text)}`}
        ORDER BY id DESC LIMIT ${limit}`,
    );
    return rows.map(toLink);
  }

  async update(code: string, change: LinkChange): Promise<Link | undefined> {
    const sql = this.#sql;
    const [row] = await asking(
      this.#sql,
      () => sql<LinkRow[]>`
        UPDATE links SET
          target = ${change.url ?? sql`target`},
          title = ${change.title === undefined ? sql`title` : change.title},
          tags = ${change.tags === undefined ? sql`tags` : sql`${textArray(change.tags)}::text[]`},
          status = ${change.status ?? sql`status`},
          expires_at = ${change.expiresAt === undefined ? sql`expires_at` : change.expiresAt}
        WHERE domain_id = ${DEFAULT_DOMAIN_ID} AND code = ${code} AND deleted_at IS NULL
        RETURNING ${linkColumns(sql)}`,
    );
    return row && toLink(row);
  }

  async delete(code: string): Promise<boolean> {
    const sql = this.#sql;
    const result = await asking(
      this.#sql,
      () => sql`
        UPDATE links SET deleted_at = now()
        WHERE domain_id = ${DEFAULT_DOMAIN_ID} AND code = ${code} AND deleted_at IS NULL`,
    );
    return result.count === 1;
  }
}

function linkColumns(sql: Queryable) {
  return sql`id, code, target, title, to_json(tags) AS tags, status, created_at AS "createdAt", updated_at AS "updatedAt",
    expires_at AS "expiresAt", deleted_at AS "deletedAt",
    (SELECT coalesce(sum(h.clicks), 0)::bigint FROM link_hours h WHERE h.link_id = links.id) AS clicks`;
}

function toLink({ target, ...row }: LinkRow): Link {
  return { ...row, url: target };
}

/** A LIKE pattern that matches the text itself, wherever it stands. */
function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, "\\$&")}%`;
}
