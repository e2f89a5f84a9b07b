// The process cache of routes: absolute time to live, negative entries apart, one lookup per code at a time.
import type { Clock } from "../lib/clock.ts";
import { ClockMap } from "../lib/clock-map.ts";
import { AppError } from "../lib/errors.ts";
import type { Route } from "./link.ts";
import type { RouteSource } from "./resolve.ts";

/** What a lookup in the cache found; the label of hop_cache_requests_total. */
export type CacheResult = "hit" | "negative_hit" | "miss" | "stale";

export interface RouteCacheOptions {
  readonly source: RouteSource;
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads expiry, so that entries made together do not end together. */
  readonly random: () => number;
  readonly ttlMs: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly unknownTtlMs: number;
  readonly maxUnknown: number;
  /** After a failed lookup, expired entries are served without another try for this long. */
  readonly retryAfterFailureMs: number;
  readonly onResult: (result: CacheResult) => void;
}

interface Entry {
  readonly route: Route;
  readonly freshUntilMs: number;
  /** Entries of an earlier epoch are expired, whatever their time to live. */
  readonly epoch: number;
}

interface Flight {
  readonly route: Promise<Route | undefined>;
  /** The link changed while the lookup ran: its answer may be old and is not kept. */
  outdated: boolean;
}

/** Bytes of an entry beside its strings: two objects, two map slots, string headers. Measured as RSS / entries. */
const ENTRY_OVERHEAD_BYTES = 320;

/**
 * Staleness is bounded by three rules: an entry's life is absolute (a hit never renews it); an invalidation removes the
 * entry and disowns a lookup that is in flight; `expireAll` ends every entry at once when invalidations may have been missed.
 * Only when the source cannot be asked is an expired entry served, and counted as `stale`.
 */
export class RouteCache implements RouteSource {
  readonly #options: RouteCacheOptions;
  readonly #known: ClockMap<string, Entry>;
  /** Unknown codes live apart, so that a flood of random codes cannot push out good entries. Value: fresh until, in ms. */
  readonly #unknown: ClockMap<string, number>;
  readonly #flights = new Map<string, Flight>();
  #epoch = 0;
  #failedUntilMs = 0;

  constructor(options: RouteCacheOptions) {
    this.#options = options;
    this.#known = new ClockMap({ maxEntries: options.maxEntries, maxBytes: options.maxBytes });
    this.#unknown = new ClockMap({ maxEntries: options.maxUnknown, maxBytes: Number.POSITIVE_INFINITY });
  }

  get size(): number {
    return this.#known.size;
  }

  /** A fresh entry, without waiting; undefined means that `find` has to be asked. */
  peek(code: string, nowMs = this.#options.clock()): Route | undefined {
    const entry = this.#known.get(code);
    if (entry === undefined || !this.#isFresh(entry, nowMs)) return undefined;
    this.#options.onResult("hit");
    return entry.route;
  }

  async find(code: string): Promise<Route | undefined> {
    const nowMs = this.#options.clock();
    const entry = this.#known.get(code);
    if (entry !== undefined && this.#isFresh(entry, nowMs)) {
      this.#options.onResult("hit");
      return entry.route;
    }
    const unknownUntilMs = this.#unknown.get(code);
    if (unknownUntilMs !== undefined && unknownUntilMs > nowMs) {
      this.#options.onResult("negative_hit");
      return undefined;
    }
    if (entry !== undefined && this.#failedUntilMs > nowMs) return this.#serveStale(entry);
    try {
      const route = await (this.#flights.get(code) ?? this.#startFlight(code)).route;
      this.#options.onResult("miss");
      return route;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "TEMPORARILY_UNAVAILABLE") throw error;
      this.#failedUntilMs = this.#options.clock() + this.#options.retryAfterFailureMs;
      // Asked again, because an invalidation may have removed the entry while the lookup failed.
      const kept = this.#known.get(code);
      if (kept === undefined) throw error;
      return this.#serveStale(kept);
    }
  }

  /** The link of this code changed: nothing older than this moment will be kept. */
  invalidate(code: string): void {
    this.#known.delete(code);
    this.#unknown.delete(code);
    const flight = this.#flights.get(code);
    if (flight === undefined) return;
    flight.outdated = true;
    this.#flights.delete(code);
  }

  /** Changes may have been missed: every entry has to be looked up again, and is kept only for when that fails. */
  expireAll(): void {
    this.#epoch++;
    this.#unknown.clear();
    for (const flight of this.#flights.values()) flight.outdated = true;
    this.#flights.clear();
  }

  #isFresh(entry: Entry, nowMs: number): boolean {
    return entry.epoch === this.#epoch && entry.freshUntilMs > nowMs;
  }

  #serveStale(entry: Entry): Route {
    this.#options.onResult("stale");
    return entry.route;
  }

  #startFlight(code: string): Flight {
    const flight: Flight = { route: this.#options.source.find(code), outdated: false };
    this.#flights.set(code, flight);
    flight.route.then(
      (route) => this.#land(code, flight, route),
      () => this.#forget(code, flight),
    );
    return flight;
  }

  #land(code: string, flight: Flight, route: Route | undefined): void {
    this.#forget(code, flight);
    if (flight.outdated) return;
    const { clock, random, ttlMs, unknownTtlMs } = this.#options;
    this.#failedUntilMs = 0;
    if (route === undefined) {
      this.#known.delete(code);
      this.#unknown.set(code, clock() + unknownTtlMs, 1);
      return;
    }
    // Jitter only shortens: the bound of the promise is ttlMs.
    const freshUntilMs = clock() + ttlMs * (1 - random() * 0.1);
    const bytes = 2 * (code.length + route.target.length) + ENTRY_OVERHEAD_BYTES;
    this.#known.set(code, { route, freshUntilMs, epoch: this.#epoch }, bytes);
  }

  #forget(code: string, flight: Flight): void {
    if (this.#flights.get(code) === flight) this.#flights.delete(code);
  }
}
