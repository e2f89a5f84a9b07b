// A soak from start to end: hop on one core, its public on the others, and in the end the books of both.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repeat } from "../src/lib/loop.ts";
import { drawAgents } from "./agents.ts";
import { API_KEY, type Hop, readLedger, REDIRECTED, settledMetrics, startHop } from "./hop.ts";
import { runClosedLoop, runOpenLoop } from "./open-loop.ts";
import { findCores, pinMyself } from "./pinning.ts";
import { judgeSoak, type SoakLaw } from "./soak-laws.ts";
import { describeRun, progressLine } from "./soak-report.ts";
import { Traffic } from "./soak-traffic.ts";
import { Watch } from "./soak-watch.ts";
import { type BenchRedis, findRedis, startRedis, startWorker, waitUntilStored } from "./stream.ts";
import type { Child } from "./child.ts";
import { seededRandom } from "./workload.ts";

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  /** A second. */
  readonly redirects: number;
  /** A second. */
  readonly creates: number;
  /** There before the load begins. */
  readonly links: number;
  /** Clicks go through a Redis, and one `hop work` stores them. */
  readonly redis: boolean;
  /** Ends everything that was started and rejects. */
  readonly signal: AbortSignal;
  /** Progress, a line at a time. */
  readonly say: (line: string) => void;
}

interface Parties {
  readonly hop: Hop;
  readonly dataDir: string;
  readonly redis: BenchRedis | undefined;
  readonly worker: Child | undefined;
}

const PROGRESS_MS = 60_000;
const SPOOLED = 'hop_clicks_total{stage="spooled"}';

/** @returns what must hold, and whether it did */
export async function runSoak(options: SoakOptions): Promise<readonly SoakLaw[]> {
  const { seed, redirects, creates, links, minutes, signal, say } = options;
  await using started = new AsyncDisposableStack();
  const parties = await startParties(options, started);
  const { hop, worker, redis, dataDir } = parties;
  const traffic = new Traffic({
    host: new URL(hop.url).host,
    apiKey: API_KEY,
    createShare: creates / (redirects + creates),
    agents: drawAgents(),
    random: seededRandom(seed),
  });
  const first = Array.from({ length: links }, () => traffic.create());
  await runClosedLoop(hop.url, first, signal);
  traffic.forgetTimes();
  say(
    `${traffic.links} links; now ${redirects} redirects and ${creates} creates a second for ${minutes} minutes`,
  );

  const run = await underLoad(options, parties, traffic);
  const metrics = await settledMetrics(hop, signal);
  if (redis !== undefined && worker !== undefined) await waitUntilStored(redis, worker, signal);
  await hop.child.stop();
  await worker?.stop();
  const ledger = await readLedger(dataDir, redis?.url);
  for (const line of describeRun({ ...run, traffic, spooled: metrics(SPOOLED) })) say(line);
  return judgeSoak({ traffic, counted: metrics(REDIRECTED), ledger, memory: run.memory });
}

async function underLoad(
  { minutes, seed, redirects, creates, signal, say }: SoakOptions,
  { hop, dataDir, worker, redis }: Parties,
  traffic: Traffic,
) {
  const seconds = minutes * 60;
  const watched = { hop: hop.child, dataDir, worker, redis: redis?.child, links: () => traffic.asked };
  const watch = new Watch(watched, seconds);
  const startedAtMs = performance.now();
  const before = await watch.cpu();
  const progress = repeat(
    PROGRESS_MS,
    async () => say(progressLine(performance.now() - startedAtMs, traffic, watch.memory)),
    (error) => say(String(error)),
  );
  try {
    await runOpenLoop({
      url: hop.url,
      perSecond: redirects + creates,
      seconds,
      // Not the traffic's own, which also draws when answers come: the times are the same on every run.
      random: seededRandom(~seed),
      next: () => traffic.next(),
      signal,
    });
  } finally {
    await progress.stop();
    await watch.stop();
  }
  const tookMs = performance.now() - startedAtMs;
  return { tookMs, cpu: { before, after: await watch.cpu() }, memory: watch.memory };
}

/** hop and what belongs to it begin on the first core, where they stay; this process then moves to the others. */
async function startParties(
  { redis: withRedis, signal, say }: SoakOptions,
  started: AsyncDisposableStack,
): Promise<Parties> {
  const workDir = await mkdtemp(join(tmpdir(), "hop-soak-"));
  started.defer(() => rm(workDir, { recursive: true, force: true }));
  // Postgres does not run as root: its user must be able to pass through. What is inside protects itself.
  await chmod(workDir, 0o711);
  const dataDir = join(workDir, "hop");
  const cores = await findCores();
  if (cores !== undefined) await pinMyself(cores.measured, signal);
  const redis = withRedis ? await startRedis(findRedis(), workDir, signal) : undefined;
  if (redis !== undefined) started.defer(() => redis.stop());
  const env: Record<string, string> = redis === undefined ? {} : { HOP_REDIS_URL: redis.url };
  const hop = await startHop({ args: [], env }, dataDir, signal);
  started.defer(() => hop.child.stop());
  const worker = redis === undefined ? undefined : await startWorker(redis, dataDir, signal);
  if (worker !== undefined) started.defer(() => worker.stop());
  if (cores !== undefined) await pinMyself(cores.measuring, signal);
  const where =
    cores === undefined ? "share all cores" : `are on core ${cores.measured} and ${cores.measuring}`;
  say(`hop (with all it needs) and its public ${where}`);
  return { hop, dataDir, redis, worker };
}
