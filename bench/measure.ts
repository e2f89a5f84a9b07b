// One run of one subject: start, warm up, measure, stop, and check the laws.
import { availableParallelism } from "node:os";
import {
  API_KEY,
  CREATED,
  type Hop,
  type Ledger,
  type Metrics,
  readLedger,
  readMetrics,
  REDIRECTED,
  settledMetrics,
  startHop,
} from "./hop.ts";
import type { Child } from "./child.ts";
import { countsAgree, droppedClicks, type Law, ledgerBalances, littlesLaw, noErrors, quiet } from "./laws.ts";
import { cpuSeconds, machineCpuSeconds, postgresCpuSeconds, residentBytes } from "./processes.ts";
import { startBareServer, startNginx } from "./references.ts";
import type { Subject, SubjectName } from "./subjects.ts";
import { type Load, runWrk, type WrkReport } from "./wrk.ts";
import type { Workload } from "./workload.ts";

export interface Bench {
  readonly wrk: string;
  /** Undefined when it is not installed. */
  readonly nginx: string | undefined;
  readonly workDir: string;
  /** Where the hop that is measured keeps its links. */
  readonly dataDir: string;
  readonly workload: Workload;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** What was measured. CPU time is undefined where the system does not tell. */
interface Window {
  readonly report: WrkReport;
  readonly perSecond: number;
  /** CPU time per request, in µs. */
  readonly serverCpuUs: number | undefined;
  readonly databaseCpuUs: number | undefined;
  /** The part of all cores that went to anything else, from 0 to 1. */
  readonly othersShare: number | undefined;
}

export interface Sample extends Window {
  readonly subject: SubjectName;
  readonly round: number;
  readonly hop: HopSample | undefined;
  readonly laws: readonly Law[];
}

export interface HopSample {
  readonly readyMs: number;
  readonly residentBytes: number | undefined;
  /** Of the lookups while it was measured; undefined without a cache. */
  readonly hitRatio: number | undefined;
  /** Clicks in one transaction; undefined when there were none. */
  readonly clicksPerBatch: number | undefined;
  /** Clicks that were given up, warm-up included. */
  readonly droppedClicks: number;
}

export async function measureReference(bench: Bench, subject: Subject, round: number): Promise<Sample> {
  const reference =
    subject.name === "nginx" && bench.nginx !== undefined
      ? await startNginx(bench.nginx, bench.workDir, bench.signal)
      : await startBareServer(bench.signal);
  try {
    await expectRedirect(`${reference.url}/${bench.workload.example}`, bench.signal);
    await warmUp(bench, subject, reference.url);
    const window = await measureWindow(bench, subject, reference.url, reference.child, undefined);
    return {
      ...window,
      subject: subject.name,
      round,
      hop: undefined,
      laws: [noErrors(window.report), littlesLaw(window.report), quiet(window.othersShare)],
    };
  } finally {
    await reference.child.stop();
  }
}

/** Answers the ledger too, which the next run begins from. */
export async function measureHop(
  bench: Bench,
  subject: Subject & { hop: object },
  round: number,
  ledgerBefore: Ledger,
): Promise<{ sample: Sample; ledger: Ledger }> {
  const hop = await startHop(subject.hop, bench.dataDir, bench.signal);
  let run;
  try {
    run = await loadHop(bench, subject, hop);
  } finally {
    await hop.child.stop();
  }
  bench.signal.throwIfAborted();
  const ledger = await readLedger(bench.dataDir);
  const { warm, window, before, after } = run;
  const received = warm.requests + window.report.requests;
  const counted = after(subject.load === "redirects" ? REDIRECTED : CREATED);
  const sample: Sample = {
    subject: subject.name,
    round,
    ...window,
    hop: {
      readyMs: hop.readyMs,
      residentBytes: run.residentBytes,
      ...describeClicks(before, after),
      droppedClicks: droppedClicks(ledger) - droppedClicks(ledgerBefore),
    },
    laws: [
      noErrors(warm),
      noErrors(window.report),
      littlesLaw(window.report),
      quiet(window.othersShare),
      countsAgree(counted, received, 2),
      ledgerBalances(ledgerBefore, ledger, after(REDIRECTED)),
    ],
  };
  return { sample, ledger };
}

async function loadHop(bench: Bench, subject: Subject, hop: Hop) {
  await expectRedirect(`${hop.url}/${bench.workload.example}`, bench.signal);
  const warm = await warmUp(bench, subject, hop.url);
  const before = await readMetrics(hop, bench.signal);
  const window = await measureWindow(bench, subject, hop.url, hop.child, bench.dataDir);
  // Before the queue of an async hop has emptied: this is what the memory was needed for.
  const resident = await residentBytes(hop.child.pid);
  const after = await settledMetrics(hop, bench.signal);
  return { warm, window, before, after, residentBytes: resident };
}

async function warmUp(bench: Bench, subject: Subject, url: string): Promise<WrkReport> {
  const load = loadOf(subject, bench.workload.each);
  return runWrk(bench.wrk, url, load, { seconds: bench.seconds, signal: bench.signal });
}

/** Measures, and reads what everybody's CPU did meanwhile. `dataDir` is that of a Postgres that takes part. */
async function measureWindow(
  bench: Bench,
  subject: Subject,
  url: string,
  server: Child,
  dataDir: string | undefined,
): Promise<Window> {
  const readCpu = async () => ({
    server: await cpuSeconds(server.pid),
    database: dataDir === undefined ? undefined : await postgresCpuSeconds(dataDir),
    machine: await machineCpuSeconds(),
    atMs: performance.now(),
  });
  const load = loadOf(subject, bench.workload.popular);
  const before = await readCpu();
  const report = await runWrk(bench.wrk, url, load, { seconds: bench.seconds, signal: bench.signal });
  const after = await readCpu();
  const own = minus(after.server, before.server);
  const database = minus(after.database, before.database);
  const machine = minus(after.machine, before.machine);
  const capacity = ((after.atMs - before.atMs) / 1_000) * availableParallelism();
  const perRequestUs = (seconds: number) => (seconds * 1e6) / report.requests;
  return {
    report,
    perSecond: report.requests / report.seconds,
    serverCpuUs: own && perRequestUs(own),
    databaseCpuUs: database && perRequestUs(database),
    othersShare: machine && (machine - report.allCpuSeconds - (own ?? 0) - (database ?? 0)) / capacity,
  };
}

function minus(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before;
}

function loadOf(subject: Subject, sequenceFile: string): Load {
  return subject.load === "creates" ? { kind: "creates", key: API_KEY } : { kind: "redirects", sequenceFile };
}

function describeClicks(before: Metrics, after: Metrics) {
  const grown = (line: string) => after(line) - before(line);
  const lookups = (result: string) => grown(`hop_cache_requests_total{result="${result}",tier="memory"}`);
  const hits = lookups("hit");
  const asked = hits + lookups("miss");
  const batches = grown("hop_click_batch_size_count");
  return {
    hitRatio: asked === 0 ? undefined : hits / asked,
    clicksPerBatch: batches === 0 ? undefined : grown("hop_click_batch_size_sum") / batches,
  };
}

/** HEAD, because it is not counted. @throws unless it is answered with a 302 */
async function expectRedirect(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { method: "HEAD", redirect: "manual", signal });
  if (response.status !== 302) throw new Error(`${url} answered ${response.status} instead of 302`);
}
