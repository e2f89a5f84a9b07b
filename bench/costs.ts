// What metrics and traces cost a redirect: one server that changes between more and less of them many times a second.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type Child, startChild, waitFor } from "./child.ts";
import { median } from "./median.ts";
import { type Law, noErrors } from "./laws.ts";
import { madeUpCodes, writeWorkload } from "./workload.ts";
import { runWrk, type WrkReport } from "./wrk.ts";

export interface CostsOptions {
  readonly wrk: string;
  readonly workDir: string;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Each a part of the redirects a second, as CPU time a request tells it; one for each round. */
export interface Costs {
  readonly metrics: readonly number[];
  /** The same server, with metrics and without tracing, against itself: what this method finds where there is nothing. */
  readonly nothing: readonly number[];
  /** Of TRACE_SAMPLE of the redirects, against metrics alone. */
  readonly traces: readonly number[];
  readonly cpuUsPerRequest: number;
  readonly laws: readonly Law[];
}

export const TRACE_SAMPLE = 0.01;

/** Variants in their order in a cycle, and how long each answers at a time. What is set against itself follows itself, twice. */
const METRICS = { sliceMs: 50, rounds: 5, variants: ["silent", "metrics", "metrics", "metrics"] };
/** 75 cycles a round instead of 15, whose middle ones were 3 % and more apart. */
const METRICS_SECONDS_FACTOR = 5;
/** Long enough that most traces are sent while the variant that made them still answers. */
const TRACES = { sliceMs: 1_000, rounds: 3, variants: ["metrics", "traced"] };
const TRACE_SECONDS_FACTOR = 2;
const LINKS = 1_000;
const COST_SERVER = fileURLToPath(new URL("cost-server.ts", import.meta.url));
const READY_TIMEOUT_MS = 20_000;

export async function measureCosts(options: CostsOptions): Promise<Costs> {
  const { seconds } = options;
  const directory = join(options.workDir, "costs");
  await mkdir(directory, { recursive: true });
  const { popular } = await writeWorkload(directory, madeUpCodes(LINKS));
  const metricsSeconds = seconds * METRICS_SECONDS_FACTOR;
  const counted = await run({ ...options, workDir: directory, seconds: metricsSeconds }, METRICS, popular);
  // One slice of each variant and the cut ends must fit in.
  const traceSeconds = Math.max(TRACES.variants.length * 3, seconds * TRACE_SECONDS_FACTOR);
  const traced = await run({ ...options, workDir: directory, seconds: traceSeconds }, TRACES, popular);
  return {
    metrics: counted.rounds.map((cycles) => costOf(cycles, 1, 0)),
    nothing: counted.rounds.map((cycles) => costOf(cycles, 3, 2)),
    traces: traced.rounds.map((cycles) => costOf(cycles, 1, 0)),
    cpuUsPerRequest: median(counted.rounds.flat().map((cycle) => cpuOf(cycle, 1))),
    laws: [...counted.reports, ...traced.reports].map(noErrors),
  };
}

const cycleSchema = z.array(z.object({ requests: z.number(), cpuUs: z.number() }));
/** One slice of each variant. */
export type Cycle = z.infer<typeof cycleSchema>;

/** The part of its throughput that a variant loses to what it does beyond another; the middle one of the cycles. */
export function costOf(cycles: readonly Cycle[], variant: number, base: number): number {
  return median(cycles.map((cycle) => 1 - cpuOf(cycle, base) / cpuOf(cycle, variant)));
}

function cpuOf(cycle: Cycle, variant: number): number {
  const { cpuUs = 0, requests = 0 } = cycle[variant] ?? {};
  return cpuUs / requests;
}

/** The cycles that a server printed, without the first and the last of them, in which wrk began and ended. */
export function wholeCycles(output: string): Cycle[] {
  const cycles = [...output.matchAll(/^CYCLE (.*)\n/gm)].map(([, json = ""]) =>
    cycleSchema.parse(JSON.parse(json)),
  );
  return cycles.filter((cycle) => cycle.every(({ requests }) => requests > 0)).slice(1, -1);
}

async function run(
  { wrk, workDir, seconds, signal }: CostsOptions,
  { sliceMs, rounds, variants }: typeof METRICS,
  sequenceFile: string,
): Promise<{ rounds: Cycle[][]; reports: WrkReport[] }> {
  await using started = new AsyncDisposableStack();
  const collector = openCollector();
  started.defer(() => collector.stop(true));
  const child = startChild(process.execPath, [COST_SERVER, String(sliceMs), ...variants], {
    signal,
    env: {
      HOP_PORT: "0",
      HOP_DATA_DIR: workDir,
      HOP_LOG_LEVEL: "warn",
      HOP_TRACE_URL: `http://127.0.0.1:${collector.port}`,
      HOP_TRACE_SAMPLE: String(TRACE_SAMPLE),
    },
  });
  started.defer(() => child.stop());
  const url = await readyAt(child, signal);
  const load = { kind: "redirects", sequenceFile } as const;
  await runWrk(wrk, url, load, { seconds, signal });
  const measured = { rounds: [] as Cycle[][], reports: [] as WrkReport[] };
  for (let round = 0; round < rounds; round++) {
    const before = child.output().length;
    measured.reports.push(await runWrk(wrk, url, load, { seconds, signal }));
    measured.rounds.push(wholeCycles(child.output().slice(before)));
  }
  return measured;
}

/** Takes traces as a collector would, in another process than the one that is measured. */
function openCollector() {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      await request.arrayBuffer();
      return Response.json({});
    },
  });
}

async function readyAt(child: Child, signal: AbortSignal): Promise<string> {
  const ready = () => /ready at (\S+)/.exec(child.output())?.[1];
  return waitFor("the server for costs", child, ready, { timeoutMs: READY_TIMEOUT_MS, signal });
}
