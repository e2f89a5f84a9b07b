// Keeps totals and dimensions close behind the stored clicks: by itself, and at once for whoever is about to read them.
import { Coalescer } from "../lib/coalescer.ts";
import { type Loop, repeat } from "../lib/loop.ts";

/** How long a round may be waited for: "patient" until it is done, "hurried" only if little waits and nobody else is at it. */
export type RollupMood = "patient" | "hurried";

/** Statistics that follow the clicks, in rounds: whole sets, oldest first, each exactly once, one process at a time. */
export interface Rollup {
  /**
   * Makes queued clicks rows and adds them to the totals, until at least `maxClicks` are taken or none is left.
   * @returns how many clicks
   */
  rollUpTotals(maxClicks: number, mood: RollupMood): Promise<number>;
  /** Adds rows to the dimensions and the unique visitors; otherwise like `rollUpTotals`. */
  rollUpDimensions(maxClicks: number, mood: RollupMood): Promise<number>;
}

export interface RollupKeeperOptions {
  readonly rollup: Rollup;
  readonly totalsEveryMs: number;
  readonly dimensionsEveryMs: number;
  readonly onError: (error: unknown) => void;
}

/** Clicks in one transaction: some 0.25 s of one core. Larger sets are cheaper a click, since a link's clicks are one update. */
const TOTALS_SET = 200_000;
/** Some 5 s of one core where nearly every click is another visitor's, in the background. */
const DIMENSIONS_SET = 400_000;
/** What a reader waits for: at most some 0.4 s of work. */
const READER_SET = 20_000;

export class RollupKeeper {
  readonly #onError: (error: unknown) => void;
  readonly #loops: readonly Loop[];
  readonly #readers: Coalescer<undefined, undefined>;

  constructor({ rollup, totalsEveryMs, dimensionsEveryMs, onError }: RollupKeeperOptions) {
    this.#onError = onError;
    this.#loops = [
      repeat(
        totalsEveryMs,
        async () => {
          while ((await rollup.rollUpTotals(TOTALS_SET, "patient")) >= TOTALS_SET);
        },
        onError,
      ),
      repeat(
        dimensionsEveryMs,
        async () => {
          while ((await rollup.rollUpDimensions(DIMENSIONS_SET, "patient")) >= DIMENSIONS_SET);
        },
        onError,
      ),
    ];
    // Readers that come while a round runs share the next one, which sees everything that was stored before they came.
    this.#readers = new Coalescer({
      run: async (readers) => {
        await rollup.rollUpTotals(READER_SET, "hurried");
        await rollup.rollUpDimensions(READER_SET, "hurried");
        return readers.map(() => undefined);
      },
      maxBatch: Number.MAX_SAFE_INTEGER,
      maxQueued: Number.MAX_SAFE_INTEGER,
    });
  }

  /**
   * Call before reading statistics. They then hold every click stored before the call, unless more than a reader's set is
   * waiting: then the background is at work on them, and the statistics' `asOf` says how far it is. So it does when the round
   * fails, as on a Postgres whose disk is full: what is there can be read.
   */
  async freshen(): Promise<void> {
    try {
      await this.#readers.submit(undefined);
    } catch (error) {
      this.#onError(error);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.#readers.idle();
  }
}
