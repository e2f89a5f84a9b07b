// Rate limits: what a limiter says, and the one that counts in this process alone.
import type { Clock } from "./clock.ts";
import { ClockMap } from "./clock-map.ts";

/** What a limiter says to one more use. */
export interface Allowance {
  readonly allowed: boolean;
  /** Uses left in this window. */
  readonly remaining: number;
  /** Until the window ends and all uses are free again. */
  readonly resetMs: number;
}

/** So many uses of one subject in one window of time. */
export interface RateLimiter {
  readonly limit: number;
  readonly windowMs: number;
  /** Counts one use. Never rejects, and never waits long: who asks is waiting for an answer. */
  consume(subject: string): Promise<Allowance>;
}

interface Window {
  readonly endsAtMs: number;
  used: number;
}

/**
 * Fixed windows that begin with a subject's first use. Bounded: a flood of new subjects pushes out those that are not used,
 * where a timer and an unbounded map entry for each, as libraries do it, take what they are given.
 */
export class LocalLimiter implements RateLimiter {
  readonly limit: number;
  readonly windowMs: number;
  readonly #clock: Clock;
  readonly #windows: ClockMap<string, Window>;

  constructor(options: { limit: number; windowMs: number; maxSubjects: number; clock: Clock }) {
    this.limit = options.limit;
    this.windowMs = options.windowMs;
    this.#clock = options.clock;
    this.#windows = new ClockMap({ maxEntries: options.maxSubjects, maxBytes: Number.POSITIVE_INFINITY });
  }

  /** Subjects that are counted now. */
  get size(): number {
    return this.#windows.size;
  }

  async consume(subject: string): Promise<Allowance> {
    const nowMs = this.#clock();
    let window = this.#windows.get(subject);
    // A clock that was set back must not keep a window open for hours.
    if (window === undefined || window.endsAtMs <= nowMs || window.endsAtMs > nowMs + this.windowMs) {
      window = { endsAtMs: nowMs + this.windowMs, used: 0 };
      this.#windows.set(subject, window, 1);
    }
    window.used++;
    return {
      allowed: window.used <= this.limit,
      remaining: Math.max(0, this.limit - window.used),
      resetMs: window.endsAtMs - nowMs,
    };
  }
}
