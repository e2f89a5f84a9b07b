// When a process that crashed is started again, and when there is no sense in it any more.

export interface CrashBounds {
  /** Crashes of each process within the window: when all have had as many, it is a loop. */
  readonly max: number;
  readonly windowMs: number;
  /** Before a first restart. */
  readonly restartMs: number;
  readonly restartMaxMs: number;
}

/** Remembers the crashes of the last window. One process of several that cannot be started is no loop: the others serve. */
export class Crashes {
  readonly #bounds: CrashBounds;
  readonly #processes: number;
  readonly #random: () => number;
  #recent: { readonly slot: number; readonly atMs: number }[] = [];

  constructor(bounds: CrashBounds, processes: number, random: () => number) {
    this.#bounds = bounds;
    this.#processes = processes;
    this.#random = random;
  }

  /** @returns milliseconds until the restart, or "loop" */
  note(slot: number, nowMs: number): number | "loop" {
    const { max, windowMs, restartMs, restartMaxMs } = this.#bounds;
    this.#recent = this.#recent.filter(({ atMs }) => atMs > nowMs - windowMs);
    this.#recent.push({ slot, atMs: nowMs });
    const bySlot = new Map<number, number>();
    for (const crash of this.#recent) bySlot.set(crash.slot, (bySlot.get(crash.slot) ?? 0) + 1);
    const looping = [...bySlot.values()].filter((crashes) => crashes >= max);
    if (looping.length === this.#processes) return "loop";
    const earlier = (bySlot.get(slot) ?? 1) - 1;
    // Half of it is random, so that processes that died together do not come back together.
    return Math.min(restartMaxMs, restartMs * 2 ** earlier) * (0.5 + this.#random() / 2);
  }
}
