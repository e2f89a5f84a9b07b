// The day's salt for visitor hashes, shared by all processes and deleted after two days.
import type { SaltStore } from "../../clicks/salt-keeper.ts";
import { asking, type Database } from "./database.ts";

export class PostgresSaltStore implements SaltStore {
  readonly #sql: Database;

  constructor(sql: Database) {
    this.#sql = sql;
  }

  async salt(day: string, candidate: Uint8Array): Promise<Uint8Array> {
    return asking(this.#sql, async () => {
      await this.#sql`INSERT INTO visitor_salts (day, salt) VALUES (${day}, ${candidate}) ON CONFLICT DO NOTHING`;
      const [row] = await this.#sql<
        { salt: Uint8Array }[]
      >`SELECT salt FROM visitor_salts WHERE day = ${day}`;
      if (row === undefined) throw new Error(`the salt of ${day} vanished`);
      return row.salt;
    });
  }

  /** Keeps yesterday's too, for processes around midnight. */
  async deleteOld(today: string): Promise<void> {
    await asking(this.#sql, () => this.#sql`DELETE FROM visitor_salts WHERE day < ${today}::date - 1`);
  }
}
