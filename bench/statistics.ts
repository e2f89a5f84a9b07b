// How long statistics take when there are few clicks, and when there are a hundred times as many.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Child, waitFor } from "./child.ts";
import { ClickFiller } from "./click-filler.ts";
import { connect } from "./database.ts";
import { API_KEY, type Hop, listCodes, readLedger, startHop } from "./hop.ts";
import { type Law, ledgerBalances } from "./laws.ts";
import { createLinks } from "./seed.ts";

export interface StatisticsOptions {
  readonly wrk: string;
  readonly workDir: string;
  /** In the end; the first measurement is at a hundredth of it. */
  readonly clicks: number;
  readonly signal: AbortSignal;
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
const LINKS = 2_000;
const REQUESTS = 600;
const WARM_UP = 100;
const ROLLUP_TIMEOUT_MS = 900_000;
/** So that filling is not held up by pauses. */
const HASTE = { HOP_TOTALS_INTERVAL_MS: "100", HOP_DIMENSIONS_INTERVAL_MS: "100" };
const DIMENSIONS = ["country", "referrer", "browser", "os", "device", "language"];
const INTERVALS = ["day", "hour", "month"];

export async function measureStatistics({
  wrk,
  workDir,
  clicks,
  signal,
}: StatisticsOptions): Promise<Statistics> {
  const dataDir = join(workDir, "statistics");
  await mkdir(dataDir, { recursive: true });
  await using started = new AsyncDisposableStack();
  const hop = await startHop({ args: [], env: HASTE }, dataDir, signal);
  started.defer(() => hop.child.stop());
  await createLinks(wrk, hop, LINKS, signal);
  const [code = ""] = await listCodes(hop, 1, signal);
  const sql = await connect(dataDir);
  started.defer(() => sql.end());
  const filler = await ClickFiller.open(sql, code);

  const grow = async (total: number): Promise<StatisticsSize> => {
    const startedAtMs = performance.now();
    await filler.fillTo(total, signal);
    await waitForRollups(filler, hop.child, signal);
    const fillSeconds = (performance.now() - startedAtMs) / 1_000;
    // As autovacuum would within minutes.
    await sql`VACUUM ANALYZE`;
    const times = await askOften(hop, code, signal);
    return { clicks: filler.clicks, linkClicks: await filler.clicksOfLink(), ...times, fillSeconds };
  };
  const few = await grow(Math.ceil(clicks / GROWTH));
  const many = await grow(clicks);
  await sql.end();
  await hop.child.stop();
  signal.throwIfAborted();
  const nothing = { verdict: "balanced", storedClicks: 0, dropped: {}, reasons: [] } as const;
  return {
    few,
    many,
    laws: [ledgerBalances({ ...nothing, reasons: [] }, await readLedger(dataDir), filler.clicks)],
  };
}

async function waitForRollups(filler: ClickFiller, child: Child, signal: AbortSignal): Promise<void> {
  const done = async () => ((await filler.waiting()) ? undefined : true);
  await waitFor("the rollups", child, done, { timeoutMs: ROLLUP_TIMEOUT_MS, signal });
}

/** One request after another, over one connection, every interval and dimension in turn. */
async function askOften(
  hop: Hop,
  code: string,
  signal: AbortSignal,
): Promise<{ p50Ms: number; p99Ms: number }> {
  const times: number[] = [];
  for (let request = 0; request < WARM_UP + REQUESTS; request++) {
    const by = DIMENSIONS[request % DIMENSIONS.length];
    const interval = INTERVALS[Math.floor(request / DIMENSIONS.length) % INTERVALS.length];
    const startedAtMs = performance.now();
    const response = await fetch(`${hop.url}/api/v1/links/${code}/stats?interval=${interval}&by=${by}`, {
      signal,
      headers: { Authorization: `Bearer ${API_KEY}` },
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`hop gives no statistics: ${answer}`);
    if (request >= WARM_UP) times.push(performance.now() - startedAtMs);
  }
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(part * times.length))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
