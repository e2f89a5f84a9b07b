// Tests that inject faults in rounds: how many and from which seed is said by TEST_ROUNDS and TEST_SEED.
import { test } from "bun:test";

/** Everything random in a fault test comes from here, so that a seed repeats its choices. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1): mulberry32, by Tommy Ettinger. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `from` to `to`, both included. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.next() * choices.length)];
    if (choice === undefined) throw new Error("nothing to choose from");
    return choice;
  }

  /** Another stream of choices, for something that runs beside. */
  fork(): Random {
    return new Random(Math.floor(this.next() * 2 ** 32));
  }
}

interface Rounds {
  /** By default. */
  readonly few: number;
  /** With TEST_ROUNDS=full. */
  readonly full: number;
}

export interface FaultRun {
  readonly rounds: number;
  readonly random: Random;
  /** Which round runs, for the report of a failure. */
  readonly begin: (round: number, fault: string) => void;
}

const ROUND_TIMEOUT_MS = 60_000;
const BASE_TIMEOUT_MS = 60_000;

/** A test whose body answers a sentence with its numbers; that is printed with the seed, as is a failure. */
export function faultTest(name: string, counts: Rounds, body: (run: FaultRun) => Promise<string>): void {
  const rounds = readRounds(counts);
  const seed = readSeed();
  test(
    name,
    async () => {
      let at = "before the first round";
      const begin = (round: number, fault: string) => {
        at = `round ${round} of ${rounds} (${fault})`;
      };
      const startedAtMs = performance.now();
      try {
        const summary = await body({ rounds, random: new Random(seed), begin });
        const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
        console.log(`${name}: ${summary} [TEST_ROUNDS=${rounds} TEST_SEED=${seed}, ${seconds} s]`);
      } catch (error) {
        console.log(`${name}: FAILED in ${at} [repeat with TEST_ROUNDS=${rounds} TEST_SEED=${seed}]`);
        throw error;
      }
    },
    BASE_TIMEOUT_MS + rounds * ROUND_TIMEOUT_MS,
  );
}

function readRounds({ few, full }: Rounds): number {
  const text = process.env["TEST_ROUNDS"] ?? "";
  if (text === "") return few;
  if (text === "full") return full;
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new Error(`TEST_ROUNDS is a number or "full", not "${text}"`);
}

function readSeed(): number {
  const text = process.env["TEST_SEED"] ?? "";
  if (text === "") return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Error(`TEST_SEED is a whole number, not "${text}"`);
}
