// Daily partitions of clicks, created ahead of need by whichever process comes first.
import { asking, type Database } from "./database.ts";

const DAYS_AHEAD = 3;
const LOCK = "hop_partitions";
const DAY_MS = 86_400_000;

/** Makes the partitions of yesterday (for late clicks) to three days ahead. Safe to call from many processes. */
export async function createPartitions(sql: Database, nowMs: number): Promise<void> {
  for (let day = -1; day <= DAYS_AHEAD; day++) await createPartition(sql, utcDay(nowMs + day * DAY_MS));
}

/**
 * Postgres refuses a partition whose rows are in the default one already: clicks of a clock that was ahead, or of a time
 * when creating failed. So they move first, while nobody writes.
 */
async function createPartition(sql: Database, day: string): Promise<void> {
  const next = utcDay(Date.parse(day) + DAY_MS);
  const name = `clicks_${day.replaceAll("-", "")}`;
  await asking(sql, () =>
    sql.begin(async (transaction) => {
      await transaction`SELECT pg_advisory_xact_lock(hashtext(${LOCK}))`;
      const [found] = await transaction`SELECT FROM pg_class WHERE oid = to_regclass(${name})`;
      if (found !== undefined) return;
      // Names and dates are made here from a number: nothing of a user's is in these statements.
      const [from, to] = [`'${day} 00:00+00'`, `'${next} 00:00+00'`];
      await transaction.unsafe(`
        LOCK TABLE ONLY clicks IN SHARE ROW EXCLUSIVE MODE;
        CREATE TABLE ${name} (LIKE clicks INCLUDING ALL EXCLUDING INDEXES);
        WITH early AS (DELETE FROM clicks_other WHERE at >= ${from} AND at < ${to} RETURNING *)
        INSERT INTO ${name} SELECT * FROM early;
        ALTER TABLE clicks ATTACH PARTITION ${name} FOR VALUES FROM (${from}) TO (${to})`);
    }),
  );
}

function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
