// Opens the rate limits that the configuration means: in Redis, which all processes share, else in this process.
import { createHmac } from "node:crypto";
import type { SaltOfDay } from "./clicks/observer.ts";
import type { Config } from "./config.ts";
import { type LimitName, RateLimits } from "./http/rate-limit.ts";
import type { Clock } from "./lib/clock.ts";
import { LocalLimiter, type RateLimiter } from "./lib/rate-limit.ts";
import { createLimitInstruments } from "./limit-instruments.ts";
import type { Instruments } from "./instruments.ts";
import type { RedisClient } from "./storage/redis/client.ts";
import { SharedLimiter } from "./storage/redis/shared-limiter.ts";

export interface LimitParts {
  readonly config: Config;
  readonly clock: Clock;
  /** What makes an address a pseudonym, the same in all processes. */
  readonly salt: SaltOfDay;
  /** Undefined: each process counts alone. */
  readonly redis: RedisClient | undefined;
  readonly instruments: Instruments;
}

const WINDOW_MS = 60_000;
/** Of an HMAC; two of a million networks share 128 bits with probability 1e-27. */
const PSEUDONYM_BYTES = 16;

export function openLimits({ config, clock, salt, redis, instruments }: LimitParts): RateLimits {
  const { limited, fallbacks } = createLimitInstruments(instruments.registry);
  const open = (name: LimitName, limit: number): RateLimiter | undefined => {
    if (limit === 0) return undefined;
    const local = new LocalLimiter({ limit, windowMs: WINDOW_MS, maxSubjects: config.limitEntries, clock });
    if (redis === undefined) return local;
    return new SharedLimiter({
      client: redis,
      name,
      local,
      timeoutMs: config.limitTimeoutMs,
      now: () => performance.now(),
      // Why is in the log of the connection.
      onFallback: () => fallbacks.inc(),
    });
  };
  return new RateLimits({
    limiters: {
      key_writes: open("key_writes", config.limitKeyWrites),
      address_writes: open("address_writes", config.limitAddressWrites),
      address_failures: open("address_failures", config.limitAddressFailures),
      address_misses: open("address_misses", config.limitAddressMisses),
    },
    pseudonym: pseudonyms(clock, salt),
    onLimited: (name) => limited.add(name),
  });
}

/**
 * A keyed hash, because an address alone is found by hashing all of them. The key is the visitors' salt of the day, which is
 * deleted after two; its own label keeps these hashes from matching those of visitors.
 */
function pseudonyms(clock: Clock, salt: SaltOfDay): (network: string) => string {
  return (network) => {
    const day = new Date(clock()).toISOString().slice(0, 10);
    const hash = createHmac("sha256", salt(day)).update(`rate limit\n${network}`).digest();
    return hash.subarray(0, PSEUDONYM_BYTES).toString("base64url");
  };
}
