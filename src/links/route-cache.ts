// The process cache of routes: absolute time to live, negative entries apart, one lookup per code at a time.
import type { Clock } from "../lib/clock.ts";
import { ClockMap } from "../lib/clock-map.ts";
import { DeadlineError, withDeadline } from "../lib/deadline.ts";
import { AppError } from "../lib/errors.ts";
import type { Route } from "./link.ts";
import { PackedRoutes } from "./packed-routes.ts";
import type { Finding, FindingSource, RouteSource } from "./resolve.ts";

/** What a lookup in the cache found; the label of hop_cache_requests_total. */
export const CACHE_RESULTS = ["hit", "negative_hit", "miss", "stale"] as const;
export type CacheResult = (typeof CACHE_RESULTS)[number];

export interface RouteCacheOptions {
  readonly source: FindingSource;
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads expiry, so that entries made together do not end together. */
  readonly random: () => number;
  readonly ttlMs: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly unknownTtlMs: number;
  readonly maxUnknown: number;
  /** A lookup without an answer for this long means that the source cannot be asked now. */
  readonly staleAfterMs: number;
  /** While the source cannot be asked, it is tried again this often. */
  readonly retryAfterFailureMs: number;
  readonly onResult: (result: CacheResult) => void;
}

interface Flight {
  readonly found: Promise<Finding>;
  /** The link changed while the lookup ran: its answer may be old and is not kept. */
  outdated: boolean;
}

/**
 * Staleness is bounded by three rules: an entry's life is absolute (a hit never renews it); an invalidation removes the
 * entry and disowns a lookup that is in flight; `expireAll` ends every entry at once when invalidations may have been missed.
 * Only when the source cannot be asked is an expired entry served, and counted as `stale`: docs/decisions/0014-stale.md.
 */
export class RouteCache implements RouteSource {
  readonly #options: RouteCacheOptions;
  readonly #known: PackedRoutes;
  /** Unknown codes live apart, so that a flood of random codes cannot push out good entries. Value: fresh until, in ms. */
  readonly #unknown: ClockMap<string, number>;
  readonly #flights = new Map<string, Flight>();
  /** The last lookup failed or hangs: expired entries are served at once, and lookups go on beside them. */
  #away = false;
  #retryAtMs = 0;

  constructor(options: RouteCacheOptions) {
    this.#options = options;
    this.#known = new PackedRoutes(options);
    this.#unknown = new ClockMap({ maxEntries: options.maxUnknown, maxBytes: Number.POSITIVE_INFINITY });
  }

  get size(): number {
    return this.#known.size;
  }

  /** A fresh entry, without waiting; undefined means that `find` has to be asked. */
  peek(code: string, nowMs = this.#options.clock()): Route | undefined {
    const route = this.#known.fresh(code, nowMs);
    if (route !== undefined) this.#options.onResult("hit");
    return route;
  }

  async find(code: string): Promise<Route | undefined> {
    const nowMs = this.#options.clock();
    const route = this.peek(code, nowMs);
    if (route !== undefined) return route;
    const unknownUntilMs = this.#unknown.get(code);
    if (unknownUntilMs !== undefined && unknownUntilMs > nowMs) {
      this.#options.onResult("negative_hit");
      return undefined;
    }
    const expired = this.#known.any(code);
    if (expired !== undefined && this.#away) {
      if (nowMs >= this.#retryAtMs) this.#retry(code);
      return this.#serveStale(expired);
    }
    return this.#ask(code, expired !== undefined);
  }

  /** The link of this code changed, to this version where it is known: nothing older will be kept. */
  invalidate(code: string, version = Number.POSITIVE_INFINITY): void {
    const kept = this.#known.any(code);
    if (kept !== undefined && kept.version < version) this.#known.delete(code);
    this.#unknown.delete(code);
    const flight = this.#flights.get(code);
    if (flight === undefined) return;
    flight.outdated = true;
    this.#flights.delete(code);
  }

  /** Changes may have been missed: every entry has to be looked up again, and is kept only for when that fails. */
  expireAll(): void {
    this.#known.expireAll();
    this.#unknown.clear();
    for (const flight of this.#flights.values()) flight.outdated = true;
    this.#flights.clear();
  }

  #serveStale(route: Route): Route {
    this.#options.onResult("stale");
    return route;
  }

  /** Waits for a lookup; when it fails or takes too long, an entry that is still there is served instead. */
  async #ask(code: string, hasExpired: boolean): Promise<Route | undefined> {
    const { found: looking } = this.#flights.get(code) ?? this.#startFlight(code);
    try {
      const { staleAfterMs } = this.#options;
      const { route } = await (hasExpired
        ? withDeadline(looking, staleAfterMs, "looking up a link")
        : looking);
      this.#options.onResult("miss");
      return route;
    } catch (error) {
      if (!(error instanceof DeadlineError) && !isUnavailable(error)) throw error;
      if (error instanceof DeadlineError) this.#sourceIsAway();
      // Asked again, because an invalidation may have removed the entry meanwhile.
      const kept = this.#known.any(code);
      if (kept !== undefined) return this.#serveStale(kept);
      const { route } = await looking;
      this.#options.onResult("miss");
      return route;
    }
  }

  #sourceIsAway(): void {
    this.#away = true;
    this.#retryAtMs = this.#options.clock() + this.#options.retryAfterFailureMs;
  }

  /** Asks the source again while expired entries are served. */
  #retry(code: string): void {
    this.#retryAtMs = this.#options.clock() + this.#options.retryAfterFailureMs;
    if (!this.#flights.has(code)) this.#startFlight(code);
  }

  #startFlight(code: string): Flight {
    const atLeastVersion = this.#known.any(code)?.version ?? 0;
    const flight: Flight = { found: this.#options.source.find(code, atLeastVersion), outdated: false };
    this.#flights.set(code, flight);
    flight.found.then(
      (found) => this.#land(code, flight, found),
      (error: unknown) => {
        this.#forget(code, flight);
        if (isUnavailable(error)) this.#sourceIsAway();
        // Whatever else it is, the next one who asks shall see it.
        else this.#away = false;
      },
    );
    return flight;
  }

  #land(code: string, flight: Flight, { route, ageMs }: Finding): void {
    this.#forget(code, flight);
    this.#away = false;
    if (flight.outdated) return;
    const { clock, random, ttlMs, unknownTtlMs } = this.#options;
    if (route === undefined) {
      this.#known.delete(code);
      this.#unknown.set(code, clock() + unknownTtlMs - ageMs, 1);
      return;
    }
    // Jitter only shortens: the bound of the promise is ttlMs, and what the age of the answer has used of it is gone.
    this.#known.set(code, route, clock() + ttlMs * (1 - random() * 0.1) - ageMs);
  }

  #forget(code: string, flight: Flight): void {
    if (this.#flights.get(code) === flight) this.#flights.delete(code);
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.code === "TEMPORARILY_UNAVAILABLE";
}
