// The whole benchmark: seed, then every subject once a round, the order turned by one each time.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Results } from "./figures.ts";
import { type Ledger, readLedger } from "./hop.ts";
import { describeSurroundings, type Surroundings } from "./machine.ts";
import { type Bench, measureHop, measureReference, type Sample } from "./measure.ts";
import { waitForQuiet } from "./processes.ts";
import { findNginx } from "./references.ts";
import { seed } from "./seed.ts";
import { type Subject, SUBJECTS, type SubjectName } from "./subjects.ts";
import { madeUpCodes, writeWorkload } from "./workload.ts";
import { findWrk } from "./wrk.ts";

export interface BenchOptions {
  /** Of each warm-up and of each measurement. */
  readonly seconds: number;
  readonly repeats: number;
  readonly links: number;
  readonly only: readonly SubjectName[];
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
  const { seconds, repeats, links, only, signal, say } = options;
  const wrk = findWrk();
  const nginx = findNginx();
  const subjects = SUBJECTS.filter(
    ({ name }) => only.includes(name) && (name !== "nginx" || nginx !== undefined),
  );
  await using stack = new AsyncDisposableStack();
  const workDir = await makeWorkDir(stack);
  const surroundings = await describeSurroundings({ wrk, nginx, workDir, signal });

  const needsHop = subjects.some((subject) => subject.hop !== undefined);
  if (needsHop) say(`starting hop ${repeats} times in empty directories, then making ${links} links …`);
  const seeded = needsHop
    ? await seed({ wrk, workDir, links, firstStarts: repeats, signal })
    : { dataDir: workDir, codes: madeUpCodes(links), firstStartsMs: [] };
  const workload = await writeWorkload(workDir, seeded.codes);
  const bench: Bench = { wrk, nginx, workDir, dataDir: seeded.dataDir, workload, seconds, signal };

  const samples: Sample[] = [];
  let disturbed = 0;
  let ledger: Ledger | undefined = needsHop ? await readLedger(seeded.dataDir) : undefined;
  for (let round = 1; round <= repeats; round++) {
    for (const subject of turned(subjects, round - 1)) {
      for (let attempt = 1; ; attempt++) {
        await waitForQuiet(QUIET_PATIENCE_MS, signal);
        const { sample, ...rest } = await measure(bench, subject, round, ledger);
        ledger = rest.ledger;
        say(progress(sample, repeats));
        // Chosen by what others did and never by the result.
        const wasQuiet = sample.laws.every(({ name, holds }) => name !== "quiet" || holds);
        if (wasQuiet || attempt === ATTEMPTS) {
          samples.push(sample);
          break;
        }
        disturbed++;
        say("  measuring again: something else used the machine");
      }
    }
  }
  const { firstStartsMs } = seeded;
  return { samples, firstStartsMs, disturbed, surroundings, finishedAt: new Date() };
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
    `round ${round}/${repeats}  ${subject.padEnd(8)}${rate}/s   p50 ${p50.toFixed(2)} ms   p99 ${p99.toFixed(2)} ms`,
    ...broken,
  ].join("\n");
}
