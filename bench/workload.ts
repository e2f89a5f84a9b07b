// Which codes are asked for, and in which order.
import { join } from "node:path";

/** Requests before the sequence begins again. */
const SEQUENCE_LENGTH = 1 << 19;
const SEED = 417;

export interface Workload {
  /** Every code once: what a warm-up asks for. */
  readonly each: string;
  /** Codes by popularity: what is measured. */
  readonly popular: string;
  /** How many codes there are. */
  readonly links: number;
  /** One of the codes. */
  readonly example: string;
}

/** Writes both orders as files, one code a line. */
export async function writeWorkload(directory: string, codes: readonly string[]): Promise<Workload> {
  const each = join(directory, "each.txt");
  const popular = join(directory, "popular.txt");
  const drawn = zipfSequence(codes.length, SEQUENCE_LENGTH, seededRandom(SEED)).map((index) => codes[index]);
  await Bun.write(each, `${codes.join("\n")}\n`);
  await Bun.write(popular, `${drawn.join("\n")}\n`);
  return { each, popular, links: codes.length, example: codes[0] ?? "" };
}

/** Indices below `items`, the one at index i drawn in proportion to 1 / (i + 1): Zipf's law with exponent 1. */
export function zipfSequence(items: number, length: number, random: () => number): number[] {
  const cumulative = new Float64Array(items);
  let sum = 0;
  for (let index = 0; index < items; index++) {
    sum += 1 / (index + 1);
    cumulative[index] = sum;
  }
  return Array.from({ length }, () => firstAbove(cumulative, random() * sum));
}

/** The first index whose value is above `limit`; the last one if none is. */
function firstAbove(ascending: Float64Array, limit: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The same numbers in [0, 1) on every run (mulberry32, Tommy Ettinger). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Codes for servers that know none. */
export function madeUpCodes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `c${index.toString(36).padStart(6, "0")}`);
}
