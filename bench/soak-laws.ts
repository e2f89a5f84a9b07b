// What must be true of a soak, however long it was.
import { median } from "./median.ts";
import type { Ledger } from "./hop.ts";
import { ledgerBalances } from "./laws.ts";
import type { Traffic } from "./soak-traffic.ts";

export interface SoakLaw {
  readonly name: string;
  readonly holds: boolean;
  /** A short clause: what was seen. */
  readonly seen: string;
}

export interface MemorySample {
  readonly atMs: number;
  /** In RAM. */
  readonly bytes: number;
  /** Links that were asked for so far. */
  readonly links: number;
}

export interface SoakFacts {
  readonly traffic: Pick<Traffic, "redirects" | "creates" | "failures" | "wrong" | "wrongCount">;
  /** Redirects that hop says it answered. */
  readonly counted: number;
  readonly ledger: Ledger;
  /** By process; nothing where the system does not tell. */
  readonly memory: Readonly<Record<string, readonly MemorySample[]>>;
}

/**
 * By which a process may grow in the second half, however long that is: what a garbage collector breathes. In an hour it
 * stands for 2.4 bytes a redirect, in a day for 0.1.
 */
export const MOST_GROWTH_BYTES = 16 * 2 ** 20;
/** And for each link that is asked for the first time: an entry of the process cache takes 420 bytes, its heap has room to move. */
export const LINK_BYTES = 1_024;
const LEAST_SAMPLES = 10;
const MIB = 2 ** 20;

export function judgeSoak({ traffic, counted, ledger, memory }: SoakFacts): readonly SoakLaw[] {
  const { redirects, creates, failures, wrong, wrongCount } = traffic;
  const unanswered = redirects.sent - redirects.received + creates.sent - creates.made;
  return [
    {
      name: "errors",
      holds: failures.size === 0 && unanswered === 0,
      seen:
        failures.size === 0
          ? String(unanswered)
          : [...failures].map(([what, n]) => `${n} ${what}`).join(", "),
    },
    { name: "answers", holds: wrongCount === 0, seen: [`${wrongCount} wrong`, ...wrong].join("; ") },
    {
      name: "counts",
      // Not even a drop for a reason: here is nothing that would be one.
      holds: counted === redirects.received && ledger.storedClicks === redirects.received,
      seen: `${count(redirects.received)} received, ${count(counted)} counted, ${count(ledger.storedClicks)} stored`,
    },
    ledgerBalances(NOTHING_YET, ledger, redirects.received),
    ...Object.entries(memory).map(([process, samples]) => memoryIsFlat(process, samples)),
  ];
}

const NOTHING_YET: Ledger = { verdict: "balanced", storedClicks: 0, dropped: {}, reasons: [] };

/** By the slope over the second half, so that filling caches and compiling code at first do not count. */
export function memoryIsFlat(process: string, samples: readonly MemorySample[]): SoakLaw {
  const name = `memory of ${process}`;
  const [first, last] = [samples[0], samples.at(-1)];
  const half = samples.filter(({ atMs }) => first && last && atMs >= (first.atMs + last.atMs) / 2);
  const start = half[0];
  if (start === undefined || last === undefined || half.length < LEAST_SAMPLES)
    return { name, holds: true, seen: `unknown: ${half.length} samples` };
  const growth = slopeOf(half) * (last.atMs - start.atMs);
  const most = MOST_GROWTH_BYTES + (last.links - start.links) * LINK_BYTES;
  return {
    name,
    holds: growth <= most,
    seen:
      `${mib(start.bytes)} to ${mib(last.bytes)} MiB in the second half, a trend of ${signed(growth)} MiB ` +
      `(at most ${mib(most)}: ${count(last.links - start.links)} links were new)`,
  };
}

/** Bytes a millisecond: the median of the slopes of all pairs (Theil 1950, Sen 1968), which single peaks do not move. */
function slopeOf(samples: readonly MemorySample[]): number {
  const slopes = samples.flatMap((from, index) =>
    samples
      .slice(index + 1)
      .filter((to) => to.atMs > from.atMs)
      .map((to) => (to.bytes - from.bytes) / (to.atMs - from.atMs)),
  );
  return median(slopes);
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}

function signed(bytes: number): string {
  return `${bytes < 0 ? "" : "+"}${mib(bytes)}`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}
