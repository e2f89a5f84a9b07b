// The whole benchmark: seed, then every subject once a round, the order turned by one each time.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureCosts } from "./costs.ts";
import type { Results } from "./figures.ts";
import { type Ledger, readLedger } from "./hop.ts";
import { describeSurroundings, type Surroundings } from "./machine.ts";
import { type Bench, measureHop, measureReference, type Sample } from "./measure.ts";
import { waitForQuiet } from "./processes.ts";
import { findNginx } from "./references.ts";
import { measureScale } from "./scale.ts";
import { seed } from "./seed.ts";
import { findRedis } from "./stream.ts";
import { measureStatistics } from "./statistics.ts";
import { measureStoring } from "./storing.ts";
import { durations, isNginx, type PartName, type Subject, SUBJECTS } from "./subjects.ts";
import { madeUpCodes, writeWorkload } from "./workload.ts";
import { findWrk } from "./wrk.ts";

export interface BenchOptions {
  /** Of each warm-up and of each measurement. */
  readonly seconds: number;
  readonly repeats: number;
  readonly links: number;
  /** In the table of the statistics. */
  readonly clicks: number;
  readonly only: readonly PartName[];
  /** Ends everything that was started and rejects. */
  readonly signal: AbortSignal;
  /** Progress, a line at a time. */
  readonly say: (line: string) => void;
}

export interface BenchResults extends Results {
  readonly surroundings: Surroundings;
  readonly finishedAt: Date;
  /** Runs that were measured again because other programs used the machine. */
  readonly disturbed: number;
}

/** Measurements of one subject in one round, when other programs disturb it. */
const ATTEMPTS = 2;
const QUIET_PATIENCE_MS = 10_000;

export async function runBench(options: BenchOptions): Promise<BenchResults> {
  const { seconds, repeats, links, clicks, only, signal, say } = options;
  const wrk = findWrk();
  const nginx = findNginx();
  const subjects = SUBJECTS.filter(
    (subject) => only.includes(subject.name) && (!isNginx(subject) || nginx !== undefined),
  );
  await using stack = new AsyncDisposableStack();
  const workDir = await makeWorkDir(stack);
  const surroundings = await describeSurroundings({ wrk, nginx, workDir, signal });

  const stores = only.includes("storing");
  const redis = stores || subjects.some((subject) => subject.hop?.stream) ? findRedis() : undefined;
  const needsHop = stores || subjects.some((subject) => subject.hop !== undefined);
  if (needsHop) say(`starting hop ${repeats} times in empty directories, then making ${links} links …`);
  const seeded = needsHop
    ? await seed({ wrk, workDir, links, firstStarts: repeats, signal })
    : { dataDir: workDir, codes: madeUpCodes(links), firstStartsMs: [] };
  const workload = await writeWorkload(workDir, seeded.codes);
  const bench: Bench = { wrk, nginx, redis, workDir, dataDir: seeded.dataDir, workload, seconds, signal };

  const rounds = await measureRounds(bench, subjects, options);
  if (stores) say("storing a backlog of clicks …");
  const storing = stores && redis !== undefined ? await measureStoring(bench, redis) : undefined;
  const { measured: brief } = durations(seconds, { short: true });
  if (only.includes("scale")) say("a thousand links, and a million …");
  const scale = only.includes("scale")
    ? await measureScale({ wrk, workDir, seconds: brief, signal })
    : undefined;
  if (only.includes("costs")) say("what metrics and traces cost …");
  const costs = only.includes("costs")
    ? await measureCosts({ wrk, workDir, seconds: brief, signal })
    : undefined;
  if (only.includes("statistics"))
    say(`statistics of ${clicks.toLocaleString("en")} clicks: filling takes minutes …`);
  const statistics = only.includes("statistics")
    ? await measureStatistics({ wrk, workDir, clicks, signal, say })
    : undefined;
  const { firstStartsMs } = seeded;
  return {
    ...rounds,
    firstStartsMs,
    storing,
    scale,
    costs,
    statistics,
    surroundings,
    finishedAt: new Date(),
  };
}

async function measureRounds(
  bench: Bench,
  subjects: readonly Subject[],
  { repeats, say }: BenchOptions,
): Promise<{ samples: Sample[]; disturbed: number }> {
  const samples: Sample[] = [];
  let disturbed = 0;
  const needsLedger = subjects.some((subject) => subject.hop !== undefined);
  let ledger: Ledger | undefined = needsLedger ? await readLedger(bench.dataDir) : undefined;
  for (let round = 1; round <= repeats; round++) {
    for (const subject of turned(subjects, round - 1)) {
      const attempts: Sample[] = [];
      while (attempts.length < ATTEMPTS && !attempts.some(wasQuiet)) {
        await waitForQuiet(QUIET_PATIENCE_MS, bench.signal);
        const { sample, ...rest } = await measure(bench, subject, round, ledger);
        ledger = rest.ledger;
        attempts.push(sample);
        say(progress(sample, repeats));
      }
      disturbed += attempts.length - 1;
      // Chosen by what others did and never by the result.
      samples.push(...attempts.toSorted(byDisturbance).slice(0, 1));
    }
  }
  return { samples, disturbed };
}

function wasQuiet({ laws }: Sample): boolean {
  return laws.every(({ name, holds }) => name !== "quiet" || holds);
}

function byDisturbance(a: Sample, b: Sample): number {
  return (a.othersShare ?? 0) - (b.othersShare ?? 0);
}

async function measure(
  bench: Bench,
  subject: Subject,
  round: number,
  ledger: Ledger | undefined,
): Promise<{ sample: Sample; ledger: Ledger | undefined }> {
  if (subject.hop === undefined || ledger === undefined)
    return { sample: await measureReference(bench, subject, round), ledger };
  return measureHop(bench, { ...subject, hop: subject.hop }, round, ledger);
}

/** So that none always runs first, or always after the same neighbour's writes. */
function turned<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

async function makeWorkDir(stack: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "hop-bench-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  // Postgres does not run as root: its user must be able to pass through. What is inside protects itself.
  await chmod(directory, 0o711);
  return directory;
}

function progress({ subject, round, perSecond, report, laws }: Sample, repeats: number): string {
  const broken = laws.filter((law) => !law.holds).map((law) => `  BROKEN ${law.name}: ${law.seen}`);
  const rate = Math.round(perSecond).toLocaleString("en").padStart(9);
  const { p50, p99 } = report.latencyMs;
  return [
    `round ${round}/${repeats}  ${subject.padEnd(11)}${rate}/s   p50 ${p50.toFixed(2)} ms   p99 ${p99.toFixed(2)} ms`,
    ...broken,
  ].join("\n");
}
