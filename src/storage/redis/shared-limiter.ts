// A rate limit that all processes count together in Redis, and each alone while Redis does not answer.
import { RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { withDeadline } from "../../lib/deadline.ts";
import type { Allowance, RateLimiter } from "../../lib/rate-limit.ts";
import type { RedisClient } from "./client.ts";

export interface SharedLimiterOptions {
  readonly client: RedisClient;
  /** The limit's own; tells its keys in Redis from those of others. */
  readonly name: string;
  /** Counts while Redis does not; says what the limit is. */
  readonly local: RateLimiter;
  /** A count that takes longer is made locally. */
  readonly timeoutMs: number;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  /** A request was counted locally. The error is undefined when Redis was not asked, because it failed a moment ago. */
  readonly onFallback: (error: unknown) => void;
}

/** After a failure Redis is left alone for this long, so that an outage costs one wait and not one a request. */
const PAUSE_MS = 1_000;

export class SharedLimiter implements RateLimiter {
  readonly limit: number;
  readonly windowMs: number;
  readonly #options: SharedLimiterOptions;
  readonly #redis: RateLimiterRedis;
  #askAgainAtMs = -Infinity;

  constructor(options: SharedLimiterOptions) {
    this.#options = options;
    this.limit = options.local.limit;
    this.windowMs = options.local.windowMs;
    this.#redis = new RateLimiterRedis({
      storeClient: options.client,
      keyPrefix: `hop:limit:${options.name}`,
      points: this.limit,
      duration: this.windowMs / 1_000,
      // Who is over the limit costs Redis nothing more until the window ends.
      inMemoryBlockOnConsumed: this.limit + 1,
      rejectIfRedisNotReady: true,
    });
  }

  async consume(subject: string): Promise<Allowance> {
    const { local, now, timeoutMs, onFallback } = this.#options;
    if (now() < this.#askAgainAtMs) {
      onFallback(undefined);
      return local.consume(subject);
    }
    try {
      const counted = this.#redis.consume(subject);
      return allowance(true, await withDeadline(counted, timeoutMs, "counting a request in Redis"));
    } catch (error) {
      if (error instanceof RateLimiterRes) return allowance(false, error);
      // Whatever is wrong with Redis, a request must not fail for it.
      this.#askAgainAtMs = now() + PAUSE_MS;
      onFallback(error);
      return local.consume(subject);
    }
  }
}

function allowance(allowed: boolean, { remainingPoints, msBeforeNext }: RateLimiterRes): Allowance {
  return { allowed, remaining: remainingPoints, resetMs: Math.max(0, msBeforeNext) };
}
