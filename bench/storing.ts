// How fast one `hop work` stores a backlog that real redirects left in the stream, beside raw COPY of the same rows.
import { writeAgents } from "./agents.ts";
import { type Child, waitFor } from "./child.ts";
import { connect, type Sql } from "./database.ts";
import { readLedger, REDIRECTED, settledMetrics, startHop, WITHOUT_DIMENSIONS } from "./hop.ts";
import { type Law, ledgerBalances, noErrors } from "./laws.ts";
import type { Bench } from "./measure.ts";
import { peakResidentBytes } from "./processes.ts";
import { type BenchRedis, startRedis, startWorker, streamBytes, waitUntilStored } from "./stream.ts";
import { runWrk } from "./wrk.ts";

export interface Storing {
  readonly clicks: number;
  /** Of Redis, for a click that waits. */
  readonly bytesPerClick: number;
  /** Until all were out of the stream and durable in Postgres. */
  readonly storedPerSecond: number;
  /** Until all were rows and in the hourly totals, too. */
  readonly rowsPerSecond: number;
  /** COPY of the same rows from a file into an empty table of the same shape. */
  readonly copiedPerSecond: number;
  /** The worker's, from its start to its end. */
  readonly peakBytes: number | undefined;
  readonly laws: readonly Law[];
}

const TOTALS_TIMEOUT_MS = 120_000;
/** So that the last set is not waited for; the default is for processes that do other things, too. */
const TOTALS_INTERVAL_MS = 100;
/** Of the time of one measurement: a backlog that takes a worker seconds. */
const FILL_FACTOR = 3;

export async function measureStoring(bench: Bench, redisProgram: string): Promise<Storing> {
  const { dataDir, workDir, signal } = bench;
  const ledgerBefore = await readLedger(dataDir);
  await using started = new AsyncDisposableStack();
  const redis = await startRedis(redisProgram, workDir, signal);
  started.defer(() => redis.stop());
  const filled = await fill(bench, redis);
  const bytesPerClick = (await streamBytes(redis)) / filled.clicks;

  const worker = await startWorker(redis, dataDir, signal, {
    ...WITHOUT_DIMENSIONS,
    HOP_TOTALS_INTERVAL_MS: String(TOTALS_INTERVAL_MS),
  });
  started.defer(() => worker.stop());
  const startedAtMs = performance.now();
  const perSecond = () => filled.clicks / ((performance.now() - startedAtMs) / 1_000);
  await waitUntilStored(redis, worker, signal);
  const storedPerSecond = perSecond();
  const sql = await connect(dataDir);
  started.defer(() => sql.end());
  await waitForRows(sql, worker, signal);
  const rowsPerSecond = perSecond();
  const peakBytes = await peakResidentBytes(worker.pid);
  const copiedPerSecond = await copySpeed(sql, filled.clicks);
  await sql.end();
  await worker.stop();
  const ledger = await readLedger(dataDir, redis.url);
  const laws = [noErrors(filled.report), ledgerBalances(ledgerBefore, ledger, filled.clicks)];
  const { clicks } = filled;
  return { clicks, bytesPerClick, storedPerSecond, rowsPerSecond, copiedPerSecond, peakBytes, laws };
}

/** Redirects under load while no worker runs. */
async function fill(bench: Bench, redis: BenchRedis) {
  const { wrk, dataDir, workDir, workload, signal } = bench;
  const agentsFile = await writeAgents(workDir);
  const hop = await startHop(
    { args: [], env: { ...WITHOUT_DIMENSIONS, HOP_REDIS_URL: redis.url } },
    dataDir,
    signal,
  );
  try {
    const load = { kind: "redirects", sequenceFile: workload.popular, agentsFile } as const;
    const report = await runWrk(wrk, hop.url, load, { seconds: bench.seconds * FILL_FACTOR, signal });
    const clicks = (await settledMetrics(hop, signal))(REDIRECTED);
    return { report, clicks };
  } finally {
    await hop.child.stop();
  }
}

async function waitForRows(sql: Sql, worker: Child, signal: AbortSignal): Promise<void> {
  const empty = async () => ((await sql`SELECT FROM click_queue LIMIT 1`).length === 0 ? true : undefined);
  await waitFor("the totals", worker, empty, { timeoutMs: TOTALS_TIMEOUT_MS, signal });
}

/** Rows a second of COPY FROM in the server, without a client: what this Postgres can take at the most. */
async function copySpeed(sql: Sql, clicks: number): Promise<number> {
  const [place] = await sql<
    { file: string }[]
  >`SELECT current_setting('data_directory') || '/hop-bench.copy' AS file`;
  if (place === undefined) throw new Error("Postgres does not say where its data is");
  // A path of our own making; COPY takes no parameters.
  const file = `'${place.file.replaceAll("'", "''")}'`;
  await sql.unsafe(
    `COPY (SELECT * FROM clicks ORDER BY round DESC LIMIT ${clicks}) TO ${file} (FORMAT binary)`,
  );
  await sql.unsafe("CREATE TABLE hop_bench_copy (LIKE clicks INCLUDING ALL)");
  const startedAtMs = performance.now();
  const copied = await sql.unsafe(`COPY hop_bench_copy FROM ${file} (FORMAT binary)`);
  const seconds = (performance.now() - startedAtMs) / 1_000;
  await sql.unsafe("DROP TABLE hop_bench_copy");
  await sql.unsafe(`COPY (SELECT) TO ${file}`);
  return copied.count / seconds;
}
