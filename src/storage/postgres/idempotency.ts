// Idempotency-Keys in Postgres: the first request with a key holds its row while it works; the others wait for that row.
import type { Link } from "../../links/link.ts";
import type { IdempotencyStore, IdempotentCreate, IdempotentOutcome, LinkStore } from "../../links/ports.ts";
import { asking, type Database } from "./database.ts";
import { PostgresLinkStore } from "./links.ts";

interface StoredAnswer {
  readonly requestHash: Uint8Array;
  readonly answer: Record<string, unknown>;
}

export class PostgresIdempotencyStore implements IdempotencyStore {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async once(
    request: IdempotentCreate,
    create: (store: Pick<LinkStore, "insert">) => Promise<Link>,
  ): Promise<IdempotentOutcome> {
    const { apiKeyId, key, requestHash } = request;
    return asking(this.#sql, () =>
      this.#sql.begin(async (sql): Promise<IdempotentOutcome> => {
        // An outdated key counts as new. The unique index makes concurrent requests wait here for the first to commit.
        await sql`
          DELETE FROM idempotency_keys
          WHERE api_key_id = ${apiKeyId} AND key = ${key} AND created_at < ${new Date(request.sinceMs)}`;
        const claimed = await sql`
          INSERT INTO idempotency_keys (api_key_id, key, request_hash) VALUES (${apiKeyId}, ${key}, ${requestHash})
          ON CONFLICT DO NOTHING`;
        if (claimed.count === 1) {
          const link = await create(new PostgresLinkStore(sql));
          await sql`
            UPDATE idempotency_keys SET link_id = ${link.id}, answer = ${JSON.stringify(link)}::text::jsonb
            WHERE api_key_id = ${apiKeyId} AND key = ${key}`;
          return { kind: "created", link };
        }
        const [stored] = await sql<StoredAnswer[]>`
          SELECT request_hash AS "requestHash", answer FROM idempotency_keys
          WHERE api_key_id = ${apiKeyId} AND key = ${key}`;
        if (stored === undefined || !Buffer.from(stored.requestHash).equals(requestHash))
          return { kind: "mismatch" };
        return { kind: "replayed", link: revive(stored.answer) };
      }),
    );
  }

  /** Forgets keys older than this moment; how many. */
  async purge(beforeMs: number): Promise<number> {
    const result = await asking(
      this.#sql,
      () => this.#sql`DELETE FROM idempotency_keys WHERE created_at < ${new Date(beforeMs)}`,
    );
    return result.count;
  }
}

function revive(answer: Record<string, unknown>): Link {
  const link = { ...answer } as unknown as Link;
  return {
    ...link,
    createdAt: new Date(link.createdAt),
    updatedAt: new Date(link.updatedAt),
    expiresAt: link.expiresAt === null ? null : new Date(link.expiresAt),
    deletedAt: null,
  };
}
