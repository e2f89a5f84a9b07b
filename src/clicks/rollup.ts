// Keeps totals close behind the stored clicks: every second by itself, and at once for whoever is about to read them.
import { Coalescer } from "../lib/coalescer.ts";
import { type Loop, repeat } from "../lib/loop.ts";

/** Totals that follow the clicks. */
export interface Rollup {
  /**
   * Adds the oldest batches to the totals, exactly once: whole batches, until at least `maxClicks` clicks are taken or
   * none is left. Answers how many clicks.
   */
  rollUp(maxClicks: number): Promise<number>;
}

export interface RollupKeeperOptions {
  readonly rollup: Rollup;
  readonly everyMs: number;
  readonly onError: (error: unknown) => void;
}

/** Clicks in one transaction: at most some 200 ms on one core, which is what a reader may have to wait. */
const ROUND_CLICKS = 20_000;

export class RollupKeeper {
  readonly #loop: Loop;
  readonly #readers: Coalescer<undefined, undefined>;

  constructor({ rollup, everyMs, onError }: RollupKeeperOptions) {
    this.#loop = repeat(
      everyMs,
      async () => {
        while ((await rollup.rollUp(ROUND_CLICKS)) >= ROUND_CLICKS);
      },
      onError,
    );
    // Readers that come while a round runs share the next one, which sees everything that was stored before they came.
    this.#readers = new Coalescer({
      run: async (readers) => {
        await rollup.rollUp(ROUND_CLICKS);
        return readers.map(() => undefined);
      },
      maxBatch: Number.MAX_SAFE_INTEGER,
      maxQueued: Number.MAX_SAFE_INTEGER,
    });
  }

  /**
   * Call before reading totals. They then hold every click stored before the call, unless more than a round of clicks is
   * waiting: then the background is at work on them, and the statistics' `asOf` says how far it is.
   */
  async freshen(): Promise<void> {
    await this.#readers.submit(undefined);
  }

  async close(): Promise<void> {
    await this.#loop.stop();
    await this.#readers.idle();
  }
}
