// How long statistics take when there are few clicks, and when there are a hundred times as many.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "./child.ts";
import { ClickFiller, LINKS } from "./click-filler.ts";
import { connect, END_TIMEOUT_SECONDS } from "./database.ts";
import { type Hop, readLedger, startHop } from "./hop.ts";
import { type Law, ledgerBalances, statisticsAgree } from "./laws.ts";
import { createLinks } from "./seed.ts";
import { askInTurn, askTotals } from "./statistics-questions.ts";

export interface StatisticsOptions {
  readonly wrk: string;
  readonly workDir: string;
  /** In the end; the first measurement is at a hundredth of it. */
  readonly clicks: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export interface StatisticsSize {
  readonly clicks: number;
  /** Of the link that is asked for. */
  readonly linkClicks: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Until the clicks were rows and in every rollup, filling included. */
  readonly fillSeconds: number;
}

export interface Statistics {
  readonly few: StatisticsSize;
  readonly many: StatisticsSize;
  readonly laws: readonly Law[];
}

const GROWTH = 100;
const ROLLUP_TIMEOUT_MS = 900_000;
/** Asking whether clicks wait reads past those that just left: a hundred times a second it would hold them up. */
const ROLLUP_POLL_MS = 500;
/** So that filling is not held up by pauses. */
const HASTE = { HOP_TOTALS_INTERVAL_MS: "100", HOP_DIMENSIONS_INTERVAL_MS: "100" };

export async function measureStatistics(options: StatisticsOptions): Promise<Statistics> {
  const { wrk, workDir, clicks, signal, say } = options;
  const dataDir = join(workDir, "statistics");
  await mkdir(dataDir, { recursive: true });
  await using started = new AsyncDisposableStack();
  const hop = await startHop({ args: [], env: HASTE }, dataDir, signal);
  started.defer(() => hop.child.stop());
  await createLinks(wrk, hop, LINKS, signal);
  const sql = await connect(dataDir);
  started.defer(() => sql.end({ timeout: END_TIMEOUT_SECONDS }));
  const filler = await ClickFiller.open(sql);

  const grow = async (total: number) => {
    const fillSeconds = await fill(filler, hop, total, options);
    // As autovacuum would within minutes.
    await sql`VACUUM ANALYZE`;
    say("asking …");
    const link = await filler.popular();
    const law = statisticsAgree(await askTotals(hop, link.code, signal), link);
    const times = await askInTurn(hop, link.code, signal);
    return { law, size: { clicks: filler.clicks, linkClicks: link.clicks, ...times, fillSeconds } };
  };
  const few = await grow(Math.ceil(clicks / GROWTH));
  const many = await grow(clicks);
  await sql.end();
  await hop.child.stop();
  signal.throwIfAborted();
  const nothing = { verdict: "balanced", storedClicks: 0, dropped: {}, reasons: [] } as const;
  const ledger = await readLedger(dataDir);
  const balances = ledgerBalances({ ...nothing, reasons: [] }, ledger, filler.clicks);
  return { few: few.size, many: many.size, laws: [few.law, many.law, balances] };
}

/** @returns seconds until every click was in every rollup */
async function fill(
  filler: ClickFiller,
  hop: Hop,
  total: number,
  { signal, say }: StatisticsOptions,
): Promise<number> {
  const startedAtMs = performance.now();
  await filler.fillTo(total, signal);
  const done = async () => {
    await Bun.sleep(ROLLUP_POLL_MS);
    return (await filler.waiting()) ? undefined : true;
  };
  await waitFor("the rollups", hop.child, done, { timeoutMs: ROLLUP_TIMEOUT_MS, signal });
  const seconds = (performance.now() - startedAtMs) / 1_000;
  say(`${filler.clicks.toLocaleString("en")} clicks are in the rollups after ${seconds.toFixed(0)} s`);
  return seconds;
}
