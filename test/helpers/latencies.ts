// Many durations in one line.

/** "p50 1.2 ms, p99 3.4 ms, max 5.6 ms" and its parts. */
export function summarise(samples: readonly number[]): { p99: number; max: number; text: string } {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const [p50, p99, max] = [at(0.5), at(0.99), sorted.at(-1) ?? 0];
  const [shownP50, shownP99, shownMax] = [p50, p99, max].map((ms) => `${ms.toFixed(1)} ms`);
  return { p99, max, text: `p50 ${shownP50}, p99 ${shownP99}, max ${shownMax} of ${samples.length}` };
}
