// Makes the links that are asked for, through the API, and measures first starts on the way.
import { join } from "node:path";
import { API_KEY, CREATED, type Hop, listCodes, readMetrics, startHop } from "./hop.ts";
import { runWrk } from "./wrk.ts";

export interface Seeded {
  readonly dataDir: string;
  readonly codes: readonly string[];
  /** From an empty data directory to ready. */
  readonly firstStartsMs: readonly number[];
}

const DEFAULT = { args: [], env: {} };
const BURST_SECONDS = 2;
const SEED_TIMEOUT_MS = 300_000;

export async function seed(options: {
  wrk: string;
  workDir: string;
  links: number;
  firstStarts: number;
  signal: AbortSignal;
}): Promise<Seeded> {
  const { wrk, workDir, links, firstStarts, signal } = options;
  const firstStartsMs: number[] = [];
  const dataDir = join(workDir, "hop-1");
  for (let start = firstStarts; start > 1; start--) {
    const hop = await startHop(DEFAULT, join(workDir, `hop-${start}`), signal);
    await hop.child.stop();
    firstStartsMs.push(hop.readyMs);
  }
  const hop = await startHop(DEFAULT, dataDir, signal);
  try {
    firstStartsMs.push(hop.readyMs);
    await createLinks(wrk, hop, links, signal);
    return { dataDir, codes: await listCodes(hop, links, signal), firstStartsMs };
  } finally {
    await hop.child.stop();
  }
}

/** Until there are at least so many, made through the API. */
export async function createLinks(wrk: string, hop: Hop, links: number, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + SEED_TIMEOUT_MS;
  for (;;) {
    await runWrk(wrk, hop.url, { kind: "creates", key: API_KEY }, { seconds: BURST_SECONDS, signal });
    const made = (await readMetrics(hop, signal))(CREATED);
    if (made >= links) return;
    if (made === 0) throw new Error(`hop makes no links: ${hop.child.output().trim()}`);
    if (performance.now() > deadlineMs)
      throw new Error(
        `only ${made} of ${links} links were made in ${SEED_TIMEOUT_MS / 1_000} s; try a smaller --links`,
      );
  }
}
