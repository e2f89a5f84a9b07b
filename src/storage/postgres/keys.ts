// API keys in Postgres.
import { type ApiKey, describeKey, generateKey, type KeyStore } from "../../keys/key.ts";
import { asking, type Database, type Queryable } from "./database.ts";

export class PostgresKeyStore implements KeyStore {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async findByHash(hashes: readonly Uint8Array[]): Promise<readonly (ApiKey | undefined)[]> {
    const sql = this.#sql;
    const hex = hashes.map((hash) => Buffer.from(hash).toString("hex"));
    const rows = await asking(
      this.#sql,
      () => sql<ApiKey[]>`
        SELECT ${keyColumns(sql)} FROM api_keys
        WHERE hash IN (SELECT decode(h, 'hex') FROM unnest(string_to_array(${[...new Set(hex)].join(",")}, ',')) AS h)`,
    );
    const byHash = new Map(rows.map((row) => [Buffer.from(row.hash).toString("hex"), row]));
    return hex.map((hash) => byHash.get(hash));
  }

  async insert({
    name,
    prefix,
    hash,
    scopes,
  }: Pick<ApiKey, "name" | "prefix" | "hash" | "scopes">): Promise<ApiKey> {
    const sql = this.#sql;
    const [row] = await asking(
      this.#sql,
      () => sql<ApiKey[]>`
        INSERT INTO api_keys (name, prefix, hash, scopes)
        VALUES (${name}, ${prefix}, ${hash}, string_to_array(${scopes.join(",")}, ','))
        RETURNING ${keyColumns(sql)}`,
    );
    if (row === undefined) throw new Error("INSERT returned no row");
    return row;
  }

  /**
   * Sees to it that there is an admin key: the one given, or on the very first start a new one, which is answered once.
   * Many processes may call this at the same time; a given key that was revoked stays revoked.
   */
  async bootstrap(given: string | undefined): Promise<string | undefined> {
    return asking(this.#sql, () =>
      this.#sql.begin(async (sql) => {
        await sql`LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE`;
        const [row] = await sql<{ any: boolean }[]>`SELECT EXISTS (SELECT FROM api_keys) AS any`;
        if (given === undefined && row?.any) return undefined;
        const key = given ?? generateKey();
        const { prefix, hash } = describeKey(key);
        await sql`
          INSERT INTO api_keys (name, prefix, hash, scopes) VALUES ('admin', ${prefix}, ${hash}, '{admin}')
          ON CONFLICT (hash) DO NOTHING`;
        return given === undefined ? key : undefined;
      }),
    );
  }

  async list(): Promise<readonly ApiKey[]> {
    const sql = this.#sql;
    return asking(this.#sql, () => sql<ApiKey[]>`SELECT ${keyColumns(sql)} FROM api_keys ORDER BY id`);
  }

  async revoke(id: number): Promise<boolean> {
    const sql = this.#sql;
    const result = await asking(
      this.#sql,
      () => sql`UPDATE api_keys SET revoked_at = now() WHERE id = ${id} AND revoked_at IS NULL`,
    );
    return result.count === 1;
  }

  async touch(ids: readonly number[]): Promise<void> {
    const sql = this.#sql;
    await asking(
      this.#sql,
      () =>
        sql`UPDATE api_keys SET last_used_at = now() WHERE id = ANY (${`{${ids.join(",")}}`}::text::bigint[])`,
    );
  }
}

function keyColumns(sql: Queryable) {
  return sql`id, name, prefix, hash, to_json(scopes) AS scopes, created_at AS "createdAt", last_used_at AS "lastUsedAt",
    revoked_at AS "revokedAt"`;
}
