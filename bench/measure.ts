// One run of one subject: start, warm up, measure, stop, and check the laws.
import {
  API_KEY,
  CREATED,
  type Hop,
  type HopSettings,
  type Ledger,
  type Metrics,
  NOT_COUNTED,
  readLedger,
  readMetrics,
  REDIRECTED,
  settledMetrics,
  startHop,
  WITHOUT_DIMENSIONS,
} from "./hop.ts";
import type { Child } from "./child.ts";
import { countsAgree, droppedClicks, type Law, ledgerBalances, littlesLaw, noErrors, quiet } from "./laws.ts";
import { processesOf, residentBytes } from "./processes.ts";
import { startBareServer, startNginx } from "./references.ts";
import { type BenchRedis, startRedis, startWorker, waitUntilStored } from "./stream.ts";
import { durations, isNginx, type Subject, type SubjectName } from "./subjects.ts";
import { measureWindow, type Window } from "./window.ts";
import { type Load, runWrk, type WrkReport } from "./wrk.ts";
import type { Workload } from "./workload.ts";

export interface Bench {
  readonly wrk: string;
  /** Undefined when it is not installed. */
  readonly nginx: string | undefined;
  /** Undefined when nothing that is measured needs it. */
  readonly redis: string | undefined;
  readonly workDir: string;
  /** Where the hop that is measured keeps its links. */
  readonly dataDir: string;
  readonly workload: Workload;
  readonly seconds: number;
  readonly signal: AbortSignal;
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
    isNginx(subject) && bench.nginx !== undefined
      ? await startNginx(bench.nginx, bench.workDir, bench.signal)
      : await startBareServer(bench.signal);
  try {
    await expectRedirect(`${reference.url}/${bench.workload.example}`, bench.signal);
    await warmUp(bench, subject, reference.url);
    const window = await measureWindow({ server: reference.child }, () => ask(bench, subject, reference.url));
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
  subject: Subject & { hop: HopSettings },
  round: number,
  ledgerBefore: Ledger,
): Promise<{ sample: Sample; ledger: Ledger }> {
  const run = await runHop(bench, subject);
  const { warm, window, before, after, ledger } = run;
  const counted = subject.load === "creates" ? after(CREATED) : after(REDIRECTED) + after(NOT_COUNTED);
  // One HEAD, which is not counted, found out that hop redirects.
  const askedBefore = subject.load === "creates" ? 0 : 1;
  const sample: Sample = {
    subject: subject.name,
    round,
    ...window,
    hop: {
      readyMs: run.readyMs,
      residentBytes: run.residentBytes,
      ...describeClicks(before, after),
      droppedClicks: droppedClicks(ledger) - droppedClicks(ledgerBefore),
    },
    laws: [
      ...warm.map(noErrors),
      noErrors(window.report),
      littlesLaw(window.report),
      quiet(window.othersShare),
      countsAgree(counted - askedBefore, [...warm, window.report]),
      ledgerBalances(ledgerBefore, ledger, after(REDIRECTED)),
    ],
  };
  return { sample, ledger };
}

/** Starts hop and what stands beside it, and stops it in the order in which no click is left on its way. */
async function runHop(bench: Bench, subject: Subject & { hop: HopSettings }) {
  const { dataDir, workDir, signal } = bench;
  await using started = new AsyncDisposableStack();
  let redis: BenchRedis | undefined;
  if (subject.hop.stream && bench.redis !== undefined) {
    redis = await startRedis(bench.redis, workDir, signal);
    const running = redis;
    started.defer(() => running.stop());
  }
  const env = { ...WITHOUT_DIMENSIONS, ...subject.hop.env, ...(redis && { HOP_REDIS_URL: redis.url }) };
  const hop = await startHop({ ...subject.hop, env }, dataDir, signal);
  started.defer(() => hop.child.stop());
  const worker = redis && (await startWorker(redis, dataDir, signal, WITHOUT_DIMENSIONS));
  if (worker) started.defer(() => worker.stop());
  const load = await loadHop(bench, subject, hop, { worker, redis: redis?.child });
  await hop.child.stop();
  if (redis && worker) {
    // Its last word is in the stream too.
    await waitUntilStored(redis, worker, signal);
    await worker.stop();
  }
  signal.throwIfAborted();
  return { ...load, readyMs: hop.readyMs, ledger: await readLedger(dataDir, redis?.url) };
}

async function loadHop(
  bench: Bench,
  subject: Subject,
  hop: Hop,
  beside: { worker: Child | undefined; redis: Child | undefined },
) {
  const { dataDir, signal } = bench;
  await expectRedirect(`${hop.url}/${bench.workload.example}`, signal);
  const warm: WrkReport[] = [];
  // Each begins with the first link again, and gets further than the one before.
  do warm.push(await warmUp(bench, subject, hop.url));
  while (fillsCache(subject) && !gotRound(bench, warm) && warm.length < WARM_UPS_MAX);
  const before = await readMetrics(hop, signal);
  const parties = { server: hop.child, dataDir, ...beside };
  const window = await measureWindow(parties, () => ask(bench, subject, hop.url));
  // Before the queue of an async hop has emptied: this is what the memory was needed for.
  const resident = await residentBytes(await processesOf(hop.child.pid, dataDir));
  const after = await settledMetrics(hop, signal);
  return { warm, window, before, after, residentBytes: resident };
}

const WARM_UPS_MAX = 4;

function fillsCache({ load, short }: Subject): boolean {
  return load !== "creates" && short === undefined;
}

function gotRound({ workload }: Bench, warm: readonly WrkReport[]): boolean {
  return (warm.at(-1)?.requests ?? 0) >= workload.links;
}

async function warmUp(bench: Bench, subject: Subject, url: string): Promise<WrkReport> {
  const { signal } = bench;
  const { warmUp: seconds } = durations(bench.seconds, subject);
  return runWrk(bench.wrk, url, loadOf(subject, bench.workload.each), {
    seconds,
    connections: subject.connections,
    signal,
  });
}

async function ask(bench: Bench, subject: Subject, url: string): Promise<WrkReport> {
  const { signal } = bench;
  const { measured: seconds } = durations(bench.seconds, subject);
  return runWrk(bench.wrk, url, loadOf(subject, bench.workload.popular), {
    seconds,
    connections: subject.connections,
    signal,
  });
}

function loadOf({ load }: Subject, sequenceFile: string): Load {
  return load === "creates" ? { kind: load, key: API_KEY } : { kind: load, sequenceFile };
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
