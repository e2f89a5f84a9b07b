// Processes that share copies of routes and a store, all in memory, with failures on request.
import { manualClock } from "../../src/lib/clock.ts";
import { Breaker } from "../../src/lib/breaker.ts";
import type { Route } from "../../src/links/link.ts";
import type { RouteCopies } from "../../src/links/ports.ts";
import { fresh, type RouteLookup, type RouteSource } from "../../src/links/resolve.ts";
import { SharedRouteCache, type SharedResult } from "../../src/links/shared-cache.ts";
import { Trust } from "../../src/links/trust.ts";
import { MemoryRouteCopies } from "../contract/memory-route-copies.ts";
import { aRoute } from "./cache-stage.ts";

export const TTL_MS = 60_000;
export const UNKNOWN_TTL_MS = 2_000;
export const TIMEOUT_MS = 20;

/** One process. */
export interface SharedProcess {
  readonly cache: SharedRouteCache;
  readonly results: SharedResult[];
  /** Lookups in the store. */
  readonly asked: string[];
  readonly breaker: Breaker;
}

export class SharedStage {
  readonly clock = manualClock(1_000_000);
  readonly memory = new MemoryRouteCopies(this.clock);
  /** What the store says. */
  readonly routes = new Map<string, Route>();
  /** How the copies behave. */
  copiesAre: "well" | "silent" | "refusing" = "well";
  #version = 0;
  readonly #opened: SharedProcess[] = [];

  /** A change in the store, of which nobody is told yet. */
  set(code: string, target: string): Route {
    const route = aRoute(target, 1, ++this.#version);
    this.routes.set(code, route);
    return route;
  }

  delete(code: string): number {
    this.routes.delete(code);
    return ++this.#version;
  }

  process(options: { source?: RouteSource; lookup?: RouteLookup; leaseMs?: number } = {}): SharedProcess {
    const results: SharedResult[] = [];
    const asked: string[] = [];
    const trust = new Trust({ now: this.clock, ttlMs: TTL_MS, maxChanges: 1_000 });
    const breaker = new Breaker({
      probe: () => this.#copies.check(),
      probeEveryMs: 1,
      onOpen: () => undefined,
      onClose: () => trust.distrust(),
    });
    const source = options.source ?? { find: async (code: string) => this.routes.get(code) };
    const lookup = options.lookup ?? fresh(source);
    const cache = new SharedRouteCache({
      copies: this.#copies,
      source: { find: (code) => (asked.push(code), lookup.find(code)) },
      trust,
      breaker,
      now: this.clock,
      random: () => 0,
      ttlMs: TTL_MS,
      unknownTtlMs: UNKNOWN_TTL_MS,
      timeoutMs: TIMEOUT_MS,
      leaseMs: options.leaseMs ?? 50,
      leasePollMs: 1,
      maxBatch: 100,
      maxQueued: 1_000,
      onResult: (result) => results.push(result),
    });
    const process = { cache, results, asked, breaker };
    this.#opened.push(process);
    return process;
  }

  async close(): Promise<void> {
    for (const { breaker } of this.#opened) await breaker.close();
  }

  get #copies(): RouteCopies {
    const behave = async <T>(work: () => Promise<T>): Promise<T> => {
      if (this.copiesAre === "refusing") throw new Error("no connection");
      if (this.copiesAre === "silent") return new Promise<T>(() => undefined);
      return work();
    };
    return {
      recall: (codes, leaseMs) => behave(() => this.memory.recall(codes, leaseMs)),
      keep: (news) => behave(() => this.memory.keep(news)),
      check: () => behave(() => this.memory.check()),
    };
  }
}
