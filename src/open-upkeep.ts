// What every process does for the clicks of all, whoever comes first: partitions, retention, rollups, and the ledger kept short.
import { RollupKeeper } from "./clicks/rollup.ts";
import type { Config } from "./config.ts";
import { systemClock } from "./lib/clock.ts";
import { type Log, warnSeldom } from "./lib/log.ts";
import { repeat } from "./lib/loop.ts";
import { mergeBatches } from "./storage/postgres/batch-ranges.ts";
import type { Database } from "./storage/postgres/database.ts";
import { createPartitions, retireClicks } from "./storage/postgres/partitions.ts";
import { PostgresRollup } from "./storage/postgres/rollup.ts";

export const MAINTENANCE_MS = 60 * 60 * 1_000;

/** Resolves when there are partitions to store into; everything else goes on in the background until `started` is undone. */
export async function startUpkeep(
  config: Pick<
    Config,
    "batchesMergeMs" | "clicksRetentionDays" | "dimensionsIntervalMs" | "totalsIntervalMs"
  >,
  sql: Database,
  log: Log,
  started: AsyncDisposableStack,
): Promise<RollupKeeper> {
  const maintain = async () => {
    await createPartitions(sql, systemClock());
    const retired = await retireClicks(sql, systemClock(), config.clicksRetentionDays);
    if (retired > 0)
      log.info({ clicks: retired }, "clicks were older than HOP_CLICKS_RETENTION_DAYS and are gone");
  };
  await maintain();
  const loops = [
    repeat(MAINTENANCE_MS, maintain, (error) =>
      log.warn({ err: error }, "maintenance failed; trying again in an hour"),
    ),
    repeat(
      config.batchesMergeMs,
      async (stopping) => {
        await mergeBatches(sql, config.batchesMergeMs, stopping);
      },
      (error) => log.warn({ err: error }, "stored batches could not be merged; trying again later"),
    ),
  ];
  const rollup = new RollupKeeper({
    rollup: new PostgresRollup(sql),
    totalsEveryMs: config.totalsIntervalMs,
    dimensionsEveryMs: config.dimensionsIntervalMs,
    onError: warnSeldom(log, "statistics could not be brought up to date; trying again"),
  });
  started.defer(async () => {
    await Promise.all([rollup.close(), ...loops.map((loop) => loop.stop())]);
  });
  return rollup;
}
