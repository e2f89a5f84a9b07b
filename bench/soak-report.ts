// What a soak prints: a line a minute, and the figures of the whole.
import type { RecordableHistogram } from "node:perf_hooks";
import type { MemorySample } from "./soak-laws.ts";
import type { Traffic } from "./soak-traffic.ts";

const NS_PER_MS = 1e6;
const MIB = 2 ** 20;
const PERCENTILES = [50, 90, 99, 99.9, 99.99];

export function progressLine(
  elapsedMs: number,
  { redirects, creates, failures, wrongCount, latency }: Traffic,
  memory: Readonly<Record<string, readonly MemorySample[]>>,
): string {
  const failed = [...failures.values()].reduce((sum, n) => sum + n, 0) + wrongCount;
  const inRam = Object.entries(memory).map(
    ([name, samples]) => `${name} ${((samples.at(-1)?.bytes ?? 0) / MIB).toFixed(0)} MiB`,
  );
  const times = [50, 99].map((percent) => `p${percent} ${percentile(latency, percent)} ms`);
  return [
    `${(elapsedMs / 60_000).toFixed(0)} min`,
    `${count(redirects.received)} redirects, ${count(creates.made)} creates, ${failed} failed`,
    ...times,
    ...inRam,
  ].join("  ");
}

export function describeRun({
  traffic,
  tookMs,
  cpu,
  spooled,
}: {
  traffic: Traffic;
  tookMs: number;
  /** Clicks that Postgres or Redis did not take at once. */
  spooled: number;
  cpu: Readonly<Record<"before" | "after", Readonly<Record<string, number>>>>;
}): string[] {
  const rate = (n: number) => (n / (tookMs / 1_000)).toFixed(0);
  const cores = Object.entries(cpu.after).map(
    ([name, seconds]) => `${name} ${(((seconds - (cpu.before[name] ?? 0)) * 1_000) / tookMs).toFixed(2)}`,
  );
  return [
    `redirects: ${count(traffic.redirects.received)} in ${(tookMs / 1_000).toFixed(0)} s, ${rate(traffic.redirects.received)}/s; from when each was due: ${describe(traffic.latency)}`,
    `creates:   ${count(traffic.createLatency.count)}, ${rate(traffic.createLatency.count)}/s; from when each was due: ${describe(traffic.createLatency)}`,
    `of that the generator's own lateness: ${describe(traffic.late)}`,
    `clicks that went by way of the spool: ${count(spooled)}`,
    `cores in use: ${cores.join(", ")}`,
  ];
}

function describe(histogram: RecordableHistogram): string {
  const shown = PERCENTILES.map((percent) => `p${percent} ${percentile(histogram, percent)}`);
  return `${[...shown, `max ${(histogram.max / NS_PER_MS).toFixed(1)}`].join(", ")} ms`;
}

function percentile(histogram: RecordableHistogram, percent: number): string {
  const ms = histogram.count === 0 ? 0 : histogram.percentile(percent) / NS_PER_MS;
  return ms.toFixed(ms < 10 ? 2 : 1);
}

function count(value: number): string {
  return value.toLocaleString("en");
}
