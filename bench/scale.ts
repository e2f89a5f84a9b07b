// What a thousand times as many links do to redirects and to memory: two hops, asked in turn.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type Hop,
  type Metrics,
  readLedger,
  readMetrics,
  REDIRECTED,
  settledMetrics,
  startHop,
  WITHOUT_DIMENSIONS,
} from "./hop.ts";
import { type Law, ledgerBalances, noErrors, quiet } from "./laws.ts";
import { processesOf, residentBytes } from "./processes.ts";
import { codesByPopularity, fillLinks } from "./scale-links.ts";
import { measureWindow, type Window } from "./window.ts";
import { seededRandom, zipfSequence } from "./workload.ts";
import { runWrk, type WrkReport } from "./wrk.ts";

export interface ScaleOptions {
  readonly wrk: string;
  readonly workDir: string;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

export interface ScaleSize {
  readonly links: number;
  /** One for each round. */
  readonly perSecond: readonly number[];
  readonly p99Ms: readonly number[];
  /** Of the lookups in all rounds, warm-ups left out. */
  readonly hitRatio: number;
  /** After all rounds: with as much in the cache as it takes. */
  readonly residentBytes: number | undefined;
}

export interface Scale {
  readonly few: ScaleSize;
  readonly many: ScaleSize;
  /** Of a process with so many links in its cache, and room for no more. */
  readonly cached: { readonly links: number; readonly residentBytes: number | undefined };
  readonly laws: readonly Law[];
}

const FEW = 1_000;
const MANY = 1_000_000;
const ROUNDS = 5;
const CACHED = 100_000;
/** What a process is asked for once before it is measured: the most popular, the least of them first. */
const WARMED = 400_000;
const WARM_UPS_MAX = 20;
/** A window must not come to the end of what was drawn for it, or it would ask for the same again. */
const DRAWN_PER_SECOND = 100_000;
const FILL_BURSTS_MAX = 60;
const MISSES = 'hop_cache_requests_total{result="miss",tier="memory"}';
const HITS = 'hop_cache_requests_total{result="hit",tier="memory"}';

export async function measureScale(options: ScaleOptions): Promise<Scale> {
  const { signal } = options;
  await using started = new AsyncDisposableStack();
  const few = await openStage(options, FEW, started);
  const many = await openStage(options, MANY, started);
  for (const stage of [few, many]) await warmUp(stage);
  const before = { few: await readMetrics(few.hop, signal), many: await readMetrics(many.hop, signal) };
  for (let round = 1; round <= ROUNDS; round++) {
    for (const stage of round % 2 === 0 ? [few, many] : [many, few]) await measureRound(stage, round);
  }
  const results = [await finish(few, before.few), await finish(many, before.many)] as const;
  const cached = await measureCached(options, many);
  signal.throwIfAborted();
  const laws = results.flatMap((result) => result.laws);
  return { few: results[0].size, many: results[1].size, cached, laws };
}

/** A hop with so many links, and what was measured of it. */
interface Stage {
  readonly options: ScaleOptions;
  readonly hop: Hop;
  readonly dataDir: string;
  readonly codes: readonly string[];
  readonly windows: Window[];
  readonly warmUps: WrkReport[];
}

async function openStage(
  options: ScaleOptions,
  links: number,
  started: AsyncDisposableStack,
): Promise<Stage> {
  const dataDir = join(options.workDir, `scale-${links}`);
  await mkdir(dataDir, { recursive: true });
  const hop = await startHop({ args: [], env: WITHOUT_DIMENSIONS }, dataDir, options.signal);
  started.defer(() => hop.child.stop());
  await fillLinks(dataDir, links);
  return { options, hop, dataDir, codes: codesByPopularity(links), windows: [], warmUps: [] };
}

async function warmUp(stage: Stage): Promise<void> {
  const { options, codes, warmUps } = stage;
  const file = join(options.workDir, `scale-warm-${codes.length}.txt`);
  const warmed = codes.slice(0, WARMED).toReversed();
  // wrk begins anew each time: with what was not asked for yet.
  for (let asked = 0; asked < warmed.length && warmUps.length < WARM_UPS_MAX;) {
    await Bun.write(file, `${warmed.slice(asked).join("\n")}\n`);
    const report = await ask(stage, file, options.seconds);
    warmUps.push(report);
    asked += report.requests;
  }
  warmUps.push(await ask(stage, await draw(stage, 0), options.seconds));
}

async function measureRound(stage: Stage, round: number): Promise<void> {
  const { hop, dataDir, options, windows } = stage;
  const file = await draw(stage, round);
  windows.push(await measureWindow({ server: hop.child, dataDir }, () => ask(stage, file, options.seconds)));
}

/** Anew for each round: otherwise what one round asked for would be in the cache for the next. */
async function draw({ options, codes }: Stage, round: number): Promise<string> {
  const file = join(options.workDir, `scale-${codes.length}-${round}.txt`);
  const length = options.seconds * DRAWN_PER_SECOND;
  const drawn = zipfSequence(codes.length, length, seededRandom(1_000 + round)).map((index) => codes[index]);
  await Bun.write(file, `${drawn.join("\n")}\n`);
  return file;
}

function ask({ options, hop }: Stage, sequenceFile: string, seconds: number): Promise<WrkReport> {
  const { wrk, signal } = options;
  return runWrk(wrk, hop.url, { kind: "redirects", sequenceFile }, { seconds, signal });
}

async function finish(stage: Stage, before: Metrics): Promise<{ size: ScaleSize; laws: readonly Law[] }> {
  const { hop, dataDir, codes, windows, warmUps, options } = stage;
  const metrics = await settledMetrics(hop, options.signal);
  const resident = await residentBytes(await processesOf(hop.child.pid, dataDir));
  await hop.child.stop();
  const size = {
    links: codes.length,
    perSecond: windows.map(({ perSecond }) => perSecond),
    p99Ms: windows.map(({ report }) => report.latencyMs.p99),
    hitRatio: hitRatioOf(before, metrics),
    residentBytes: resident,
  };
  const nothing = { verdict: "balanced", storedClicks: 0, dropped: {}, reasons: [] } as const;
  const laws = [
    ...warmUps.map(noErrors),
    ...windows.flatMap(({ report, othersShare }) => [noErrors(report), quiet(othersShare)]),
    ledgerBalances({ ...nothing, reasons: [] }, await readLedger(dataDir), metrics(REDIRECTED)),
  ];
  return { size, laws };
}

function hitRatioOf(before: Metrics, after: Metrics): number {
  const [hits, misses] = [HITS, MISSES].map((line) => after(line) - before(line)) as [number, number];
  return hits / Math.max(1, hits + misses);
}

/** A cache that is full of links, each of them asked for. */
async function measureCached(options: ScaleOptions, { codes, dataDir }: Stage): Promise<Scale["cached"]> {
  const { wrk, workDir, seconds, signal } = options;
  const settings = { args: [], env: { HOP_CACHE_ENTRIES: String(CACHED) } };
  const hop = await startHop(settings, dataDir, signal);
  try {
    for (let burst = 0, cached = 0; cached < CACHED; burst++) {
      if (burst === FILL_BURSTS_MAX) throw new Error(`only ${cached} of ${CACHED} links got into the cache`);
      const sequenceFile = join(workDir, "scale-cached.txt");
      // wrk begins anew each time: with what is not there yet.
      await Bun.write(sequenceFile, `${codes.slice(cached, WARMED).join("\n")}\n`);
      await runWrk(wrk, hop.url, { kind: "redirects", sequenceFile }, { seconds, signal });
      cached = (await readMetrics(hop, signal))(MISSES);
    }
    return { links: CACHED, residentBytes: await residentBytes(await processesOf(hop.child.pid, dataDir)) };
  } finally {
    await hop.child.stop();
  }
}
