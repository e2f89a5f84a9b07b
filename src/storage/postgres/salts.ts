// The day's salt for visitor hashes, shared by all processes and deleted after two days.
import { asking, type Database } from "./database.ts";

/** Days a salt is kept: today's and, for processes around midnight, yesterday's. */
const KEPT_DAYS = 2;

/** The salt of a UTC day; whoever asks first makes it. */
export async function dailySalt(sql: Database, day: string, candidate: Uint8Array): Promise<Uint8Array> {
  return asking(async () => {
    await sql`INSERT INTO visitor_salts (day, salt) VALUES (${day}, ${candidate}) ON CONFLICT DO NOTHING`;
    const [row] = await sql<{ salt: Uint8Array }[]>`SELECT salt FROM visitor_salts WHERE day = ${day}`;
    if (row === undefined) throw new Error(`the salt of ${day} vanished`);
    return row.salt;
  });
}

/** Deletes the salts that make old hashes repeatable. */
export async function deleteOldSalts(sql: Database, today: string): Promise<void> {
  await asking(() => sql`DELETE FROM visitor_salts WHERE day <= ${today}::date - ${KEPT_DAYS}::int`);
}
