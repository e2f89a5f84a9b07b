// A cache of routes whose lookups the test answers by hand.
import { manualClock } from "../../src/lib/clock.ts";
import type { Route } from "../../src/links/link.ts";
import { fresh } from "../../src/links/resolve.ts";
import { type CacheResult, RouteCache, type RouteCacheOptions } from "../../src/links/route-cache.ts";

export const TTL_MS = 60_000;
export const UNKNOWN_TTL_MS = 2_000;
export const RETRY_MS = 500;
const HOUR_MS = 3_600_000;

export function aRoute(target: string, linkId = 1, version = 1): Route {
  return { linkId, version, target, status: 302, expiresAtMs: Number.POSITIVE_INFINITY, deleted: false };
}

export class CacheStage {
  readonly clock = manualClock(1_000_000);
  readonly results: CacheResult[] = [];
  /** Every lookup so far, the oldest first. */
  lookups: (PromiseWithResolvers<Route | undefined> & { readonly code: string })[] = [];

  open(options: Partial<RouteCacheOptions> = {}): RouteCache {
    return new RouteCache({
      source: fresh({
        find: (code) => {
          const lookup = { code, ...Promise.withResolvers<Route | undefined>() };
          this.lookups.push(lookup);
          return lookup.promise;
        },
      }),
      clock: this.clock,
      random: () => 0,
      ttlMs: TTL_MS,
      maxEntries: 100,
      maxBytes: 1_000_000,
      unknownTtlMs: UNKNOWN_TTL_MS,
      maxUnknown: 100,
      // No lookup of a test is slow, unless it says so.
      staleAfterMs: HOUR_MS,
      retryAfterFailureMs: RETRY_MS,
      onResult: (result) => this.results.push(result),
      ...options,
    });
  }

  /** Asks for a code and answers the lookup that this starts. */
  async fill(cache: RouteCache, code: string, answer: Route | undefined): Promise<void> {
    const finding = cache.find(code);
    this.lookups.at(-1)?.resolve(answer);
    await finding;
  }
}
