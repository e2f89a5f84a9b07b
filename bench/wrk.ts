// Runs wrk, the load generator, and reads its report.
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { runChild } from "./child.ts";

/** Keep-alive connections; each has one request in flight. */
export const CONNECTIONS = 64;
/** The same, for what is also measured with many. */
export const MANY_CONNECTIONS = 1_000;

const SCRIPT = fileURLToPath(new URL("wrk.lua", import.meta.url));
/** Beyond the run itself: reading the script's input, and the last answers. */
const MARGIN_MS = 20_000;

const reportSchema = z.object({
  connections: z.number(),
  requests: z.number(),
  seconds: z.number().positive(),
  /** CPU time of wrk itself while it measured. */
  cpuSeconds: z.number(),
  /** And with the reading of its input before. */
  allCpuSeconds: z.number(),
  latencyMs: z.object({ mean: z.number(), p50: z.number(), p99: z.number(), max: z.number() }),
  errors: z.object({
    connect: z.number(),
    read: z.number(),
    write: z.number(),
    /** Answers above 399. */
    status: z.number(),
    timeout: z.number(),
  }),
});
export type WrkReport = z.infer<typeof reportSchema>;

export type Load =
  | { readonly kind: "redirects" | "prefetches"; readonly sequenceFile: string; readonly agentsFile?: string }
  | { readonly kind: "creates"; readonly key: string };

/** @throws with one line that says what to install. */
export function findWrk(): string {
  const path = Bun.which("wrk");
  if (path === null) throw new Error("hop bench needs wrk: apt-get install wrk, or brew install wrk");
  return path;
}

export async function runWrk(
  wrk: string,
  url: string,
  load: Load,
  options: { seconds: number; connections?: number | undefined; signal: AbortSignal },
): Promise<WrkReport> {
  const { seconds, connections = CONNECTIONS, signal } = options;
  const { code, output } = await runChild(
    wrk,
    [
      "--threads=1",
      `--connections=${connections}`,
      `--duration=${seconds}s`,
      "--timeout=10s",
      "--latency",
      `--script=${SCRIPT}`,
      url,
      "--",
      String(connections),
      load.kind,
      ...(load.kind === "creates" ? [load.key] : [load.sequenceFile, load.agentsFile ?? ""]),
    ],
    { signal, timeoutMs: seconds * 1_000 + MARGIN_MS },
  );
  const json = /^REPORT (.*)$/m.exec(output)?.[1];
  if (code !== 0 || json === undefined) throw new Error(`wrk failed: ${output.trim()}`);
  return reportSchema.parse(JSON.parse(json));
}
