// hop ledger: does every click add up? Exit 0 balanced, 1 a loss or duplicate is proven, 2 it could not be decided.
import { join } from "node:path";
import type { Command } from "commander";
import { judgeLedger, type LedgerReport, type Verdict } from "../clicks/ledger.ts";
import { joinTransits, type Transit } from "../clicks/transit.ts";
import { type Config, ConfigError } from "../config.ts";
import { explain } from "../lib/errors.ts";
import { PostgresClickReader } from "../storage/postgres/click-reader.ts";
import { batchesInTransit } from "../storage/redis/stream-facts.ts";
import { batchesInSpool } from "../storage/spool/contents.ts";
import { readConfig, withSchema } from "./config.ts";
import { withStream } from "./stream.ts";

const EXIT_CODES: Record<Verdict, number> = { balanced: 0, unbalanced: 1, undecided: 2 };

export function addLedger(program: Command): void {
  program
    .command("ledger")
    .description(
      "account for every click; exit code 0 balanced, 1 a loss or duplicate is proven, 2 undecided",
    )
    .option("--json", "as JSON")
    .action(async (options: { json?: true }) => {
      const report = await decide();
      console.log(options.json ? JSON.stringify(report, undefined, 2) : table(report));
      process.exitCode = EXIT_CODES[report.verdict];
    });
}

/** @throws with the exit code set when it could not even be asked */
async function decide(): Promise<LedgerReport> {
  try {
    return await withSchema(async (sql) => {
      const reader = new PostgresClickReader(sql);
      const config = readConfig();
      return withWays(config, (ways) =>
        judgeTwice(config.redisUrl === undefined ? 0 : 2 * config.streamCheckMs, async () => {
          const parts: Transit[] = [];
          for (const way of ways) parts.push(await way());
          const transit = joinTransits(parts);
          return judgeLedger(await reader.ledgerFacts(transit.batches), transit);
        }),
      );
    });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    process.exitCode = EXIT_CODES.undecided;
    throw new Error(`the ledger could not be read: ${explain(error)}`, { cause: error });
  }
}

/** Batches of each partition that are looked at. */
const STREAM_MAX = 100_000;
/** Several times what a spool of the default size holds, in batches of 1,500 bytes. */
const SPOOL_MAX = 1_000_000;

/** Looks where batches may be, in the direction in which they move: the spool, then the stream. */
type Way = () => Promise<Transit>;

async function withWays<T>(config: Config, work: (ways: readonly Way[]) => Promise<T>): Promise<T> {
  const spool = () => batchesInSpool(join(config.dataDir, "spool"), SPOOL_MAX);
  if (config.redisUrl === undefined) return work([spool]);
  return withStream(config, (client, partitions) =>
    work([spool, () => batchesInTransit(client, partitions, STREAM_MAX)]),
  );
}

/**
 * A batch that was appended between the two readings looks lost the first time, and not the second. And what a Redis that was
 * restarted lacks is sent again by whoever had it confirmed, after its next check.
 */
async function judgeTwice(pauseMs: number, judge: () => Promise<LedgerReport>): Promise<LedgerReport> {
  const report = await judge();
  if (report.verdict !== "unbalanced") return report;
  await Bun.sleep(pauseMs);
  return judge();
}

function table(report: LedgerReport): string {
  return [
    `The click ledger is ${report.verdict.toUpperCase()}.`,
    "",
    row("clicks known to be served", report.servedClicks),
    row("clicks in confirmed batches", report.batchClicks),
    row("clicks stored", report.storedClicks),
    row("… of these on their way to the totals", report.queuedClicks),
    row("clicks of dropped partitions", report.retiredClicks),
    row("clicks waiting in the stream", report.waitingClicks),
    row("… in batches", report.waitingBatches),
    ...report.readers.map(({ name, batches }) => row(`… … read by ${name}`, batches)),
    row("clicks in the spool of this machine", report.spooledClicks),
    row("… in batches", report.spooledBatches),
    row("clicks that were put aside", report.deadClicks),
    row("… in batches", report.deadBatches),
    ...Object.entries(report.dropped).map(([reason, clicks]) => row(`dropped: ${reason}`, clicks)),
    row("clicks in hourly totals", report.totalledClicks),
    row("clicks in daily dimensions", report.sortedClicks),
    row("… on their way to the dimensions", report.unsortedClicks),
    row("producers", report.producers.length),
    row(
      "batches",
      report.producers.reduce((sum, producer) => sum + producer.batches, 0),
    ),
    ...report.reasons.map((reason) => `\n  ! ${reason}`),
  ].join("\n");
}

function row(name: string, value: number): string {
  return `  ${name.padEnd(40)}${value.toLocaleString("en").padStart(16)}`;
}
