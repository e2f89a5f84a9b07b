// Daily partitions of clicks, created ahead of need by whichever process comes first.
import { asking, type Database } from "./database.ts";

const DAYS_AHEAD = 3;
const LOCK = "hop_partitions";
const DAY_MS = 86_400_000;

/** Makes the partitions of yesterday (for late clicks) to three days ahead. Safe to call from many processes. */
export async function createPartitions(sql: Database, nowMs: number): Promise<void> {
  const days = Array.from({ length: DAYS_AHEAD + 2 }, (_, index) => utcDay(nowMs + (index - 1) * DAY_MS));
  await asking(() =>
    sql.begin(async (transaction) => {
      await transaction`SELECT pg_advisory_xact_lock(hashtext(${LOCK}))`;
      for (const day of days) {
        const next = utcDay(Date.parse(day) + DAY_MS);
        const name = `clicks_${day.replaceAll("-", "")}`;
        const [found] = await transaction`SELECT FROM pg_class WHERE oid = to_regclass(${name})`;
        if (found !== undefined) continue;
        // Names and dates are made here from a number: nothing of a user's is in this statement.
        await transaction.unsafe(
          `CREATE TABLE ${name} PARTITION OF clicks FOR VALUES FROM ('${day} 00:00+00') TO ('${next} 00:00+00')`,
        );
      }
    }),
  );
}

function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
