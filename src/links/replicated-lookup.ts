// Looks links up at a read replica, and at the primary whatever the replica does not surely know.
import { Coalescer } from "../lib/coalescer.ts";
import { orUnavailable } from "../lib/deadline.ts";
import { AppError } from "../lib/errors.ts";
import type { Route } from "./link.ts";
import type { Position, ReplicaRule } from "./replica-rule.ts";
import type { LookedUp, LookupBounds, RouteLookup, RouteSource } from "./resolve.ts";

/** What a replica says: undefined where it has no such link. */
export interface ReplicaAnswer {
  /** What it had replayed before it looked. */
  readonly replayed: Position;
  readonly routes: readonly (Route | undefined)[];
}

/** Throws AppError TEMPORARILY_UNAVAILABLE when it cannot be asked. Implementation: storage/postgres/replica.ts. */
export interface RouteReplica {
  findRoutes(codes: readonly string[]): Promise<ReplicaAnswer>;
}

/** How lookups end; the labels of hop_lookups_total. `needed`: served because the primary could not be asked. */
export const LOOKUP_OUTCOMES = {
  primary: ["found", "unknown", "failed"],
  replica: ["found", "unknown", "outdated", "failed", "needed"],
} as const;
type Outcomes = typeof LOOKUP_OUTCOMES;

export interface ReplicatedLookupOptions {
  readonly primary: RouteSource;
  readonly replica: RouteReplica;
  readonly rule: ReplicaRule;
  /** `timeoutMs` is for a lookup that the primary can make as well. */
  readonly bounds: LookupBounds;
  /** For a lookup that only the replica can make. */
  readonly neededTimeoutMs: number;
  readonly onLookup: <Source extends keyof Outcomes>(
    source: Source,
    outcome: Outcomes[Source][number],
  ) => void;
}

interface Found {
  readonly route: Route | undefined;
  readonly replayed: Position;
}

/**
 * A miss at the replica is asked at the primary, so a link that was just made is never unknown. While the primary cannot be
 * asked, links that the replica has are served; for the others that is TEMPORARILY_UNAVAILABLE.
 */
export class ReplicatedLookup implements RouteLookup {
  readonly #options: ReplicatedLookupOptions;
  readonly #lookups: Coalescer<string, Found>;
  /** How far the replica was last; undefined while it is not to be asked. */
  #replayed: Position | undefined;
  #primaryAway = false;

  constructor(options: ReplicatedLookupOptions) {
    this.#options = options;
    const { replica, bounds, neededTimeoutMs } = options;
    this.#lookups = new Coalescer({
      run: async (codes) => {
        const answer = await orUnavailable(replica.findRoutes(codes), neededTimeoutMs, UNAVAILABLE);
        return answer.routes.map((route) => ({ route, replayed: answer.replayed }));
      },
      maxBatch: bounds.maxBatch,
      maxQueued: bounds.maxQueued,
    });
  }

  /** How far the replica is, or that it does not answer: it is asked for nothing until it does. */
  replicaIsAt(position: Position | undefined): void {
    this.#replayed = position;
  }

  /** The primary answered. */
  primaryIsBack(): void {
    this.#primaryAway = false;
  }

  async find(code: string): Promise<LookedUp> {
    const { rule, bounds, neededTimeoutMs, onLookup } = this.#options;
    let found: Found | undefined;
    if (this.#replayed !== undefined && rule.allows(code, this.#replayed)) {
      found = await this.#askReplica(code, bounds.timeoutMs);
      if (found?.route !== undefined) {
        // Asked again: it may be another replica, or the link has changed meanwhile.
        const allowed = rule.allows(code, found.replayed);
        onLookup("replica", allowed ? "found" : "outdated");
        if (allowed) return { route: found.route, ageMs: rule.maxLagMs, shareable: true };
      } else if (found !== undefined) onLookup("replica", "unknown");
    }
    try {
      return { route: await this.#askPrimary(code), ageMs: 0, shareable: true };
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const { route, replayed } = found ?? (await this.#askReplica(code, neededTimeoutMs)) ?? {};
      if (route === undefined || replayed === undefined || !rule.allowsInNeed(code, replayed)) throw error;
      onLookup("replica", "needed");
      // As old as it may be, here it ends when changes are heard again; a process that starts later would not know.
      return { route, ageMs: rule.maxLagMs, shareable: false };
    }
  }

  async #askPrimary(code: string): Promise<Route | undefined> {
    const { primary, onLookup } = this.#options;
    // Once it has failed it is not waited for until a check finds it back.
    if (this.#primaryAway) throw new AppError("TEMPORARILY_UNAVAILABLE", UNAVAILABLE);
    try {
      const route = await primary.find(code);
      onLookup("primary", route === undefined ? "unknown" : "found");
      return route;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#primaryAway = true;
      onLookup("primary", "failed");
      throw error;
    }
  }

  /** Undefined when it does not answer in time. */
  async #askReplica(code: string, timeoutMs: number): Promise<Found | undefined> {
    try {
      return await orUnavailable(this.#lookups.submit(code), timeoutMs, UNAVAILABLE);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#replayed = undefined;
      this.#options.onLookup("replica", "failed");
      return undefined;
    }
  }
}

const UNAVAILABLE = "The link cannot be looked up now; try again.";

function isUnavailable(error: unknown): error is AppError {
  return error instanceof AppError && error.code === "TEMPORARILY_UNAVAILABLE";
}
