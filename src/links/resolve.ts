// From a code to its route, with or without a cache in between.
import { Coalescer } from "../lib/coalescer.ts";
import { orUnavailable } from "../lib/deadline.ts";
import type { Route } from "./link.ts";
import type { LinkStore } from "./ports.ts";

/** Anything that can find a route. Throws TEMPORARILY_UNAVAILABLE when it cannot be known now. */
export interface RouteSource {
  find(code: string): Promise<Route | undefined>;
}

/** A route, or that there is none, and how long ago at most that was so. */
export interface Finding {
  readonly route: Route | undefined;
  readonly ageMs: number;
}

/** What Postgres says; the answer is for nobody but the asker when it is not shareable, because its age is not known. */
export interface LookedUp extends Finding {
  readonly shareable: boolean;
}

/** Lookups in Postgres, whichever server answers. Throws TEMPORARILY_UNAVAILABLE when none can be asked. */
export interface RouteLookup {
  find(code: string): Promise<LookedUp>;
}

/** What a cache asks. */
export interface FindingSource {
  /** @param atLeastVersion what is older must not be answered: the asker has seen it. */
  find(code: string, atLeastVersion: number): Promise<Finding>;
}

/** A source of routes as they are now. */
export function fresh(source: RouteSource): RouteLookup {
  return { find: async (code) => ({ route: await source.find(code), ageMs: 0, shareable: true }) };
}

/** Asks a shared cache each time. */
export function uncached(source: FindingSource): Resolver {
  return { peek: () => undefined, find: async (code) => (await source.find(code, 0)).route };
}

/** What the redirect asks: `peek` answers at once or not at all; a caller who knows the time spares it a look at the clock. */
export interface Resolver extends RouteSource {
  peek(code: string, nowMs?: number): Route | undefined;
}

export interface LookupBounds {
  readonly timeoutMs: number;
  readonly maxBatch: number;
  readonly maxQueued: number;
}

/** Asks the store once per code: what v0.1 does. */
export function directLookup(store: Pick<LinkStore, "findRoutes">, bounds: LookupBounds): Resolver {
  return {
    peek: () => undefined,
    find: async (code) => (await boundedLookup(store, [code], bounds.timeoutMs))[0],
  };
}

/** Asks the store for many codes in one query; a cache's misses go through this. */
export function batchedLookup(store: Pick<LinkStore, "findRoutes">, bounds: LookupBounds): RouteSource {
  const lookups = new Coalescer<string, Route | undefined>({
    run: (codes) => boundedLookup(store, codes, bounds.timeoutMs),
    maxBatch: bounds.maxBatch,
    maxQueued: bounds.maxQueued,
  });
  // Waiting for the lookup ahead counts too.
  return { find: (code) => orUnavailable(lookups.submit(code), bounds.timeoutMs, UNAVAILABLE) };
}

const UNAVAILABLE = "The link cannot be looked up now; try again.";

function boundedLookup(
  store: Pick<LinkStore, "findRoutes">,
  codes: readonly string[],
  timeoutMs: number,
): Promise<readonly (Route | undefined)[]> {
  return orUnavailable(store.findRoutes(codes), timeoutMs, UNAVAILABLE);
}
