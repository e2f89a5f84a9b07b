// The cache that processes share over lookups at a lagging replica: no copy claims to be younger than it is.
import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fc from "fast-check";
import { AppError } from "../../src/lib/errors.ts";
import type { Route } from "../../src/links/link.ts";
import { ReplicaRule } from "../../src/links/replica-rule.ts";
import { ReplicatedLookup } from "../../src/links/replicated-lookup.ts";
import type { LookedUp } from "../../src/links/resolve.ts";
import { SharedStage, TTL_MS } from "../helpers/shared-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

const MAX_LAG_MS = 5_000;

let stage: SharedStage;
beforeEach(() => {
  stage = new SharedStage();
});
afterEach(() => stage.close());

const answering = (answer: LookedUp) => ({ find: async () => answer });

test("a copy has the age of the answer that it is made from, for who makes it and for all others", async () => {
  const route = stage.set("a", "one");
  const asker = stage.process({ lookup: answering({ route, ageMs: MAX_LAG_MS, shareable: true }) });
  const other = stage.process();
  expect(await asker.cache.find("a", 0)).toEqual({ route, ageMs: MAX_LAG_MS });
  stage.clock.advance(500);
  expect(await other.cache.find("a", 0)).toEqual({ route, ageMs: MAX_LAG_MS + 500 });
  stage.clock.advance(TTL_MS - MAX_LAG_MS - 501);
  expect((await other.cache.find("a", 0)).ageMs).toBe(TTL_MS - 1);
  expect(other.asked).toEqual([]);
  stage.clock.advance(1);
  await other.cache.find("a", 0);
  expect(other.asked).toEqual(["a"]);
});

test("an answer that is not for others is kept for nobody, and nobody waits for it any more", async () => {
  const old = stage.set("a", "old");
  const looking = Promise.withResolvers<LookedUp>();
  const inNeed = stage.process({ lookup: { find: () => looking.promise } });
  const waiting = stage.process();
  const first = inNeed.cache.find("a", 0);
  await waitFor("it to look", () => inNeed.asked.length > 0);
  const second = waiting.cache.find("a", 0);
  stage.set("a", "new");
  looking.resolve({ route: old, ageMs: MAX_LAG_MS, shareable: false });
  // The clock stands still: a lease would keep the other waiting for ever.
  expect((await first).route?.target).toBe("old");
  expect((await second).route?.target).toBe("new");
  expect((await stage.process().cache.find("a", 0)).route?.target).toBe("new");
});

/** A primary, a replica behind it, and processes that hear of no change and do not know it. */
class Lagging {
  readonly shared = new SharedStage();
  /** Every state of the link, and since when; its place is its position in the log. */
  readonly history: { route: Route; atMs: number }[] = [];
  replayed = 0;
  primaryIsAway = false;
  readonly processes = [this.start(), this.start()];

  change(): void {
    const route = this.shared.set("a", `v${this.history.length}`);
    this.history.push({ route, atMs: this.shared.clock() });
  }

  start() {
    const rule = new ReplicaRule({ clock: this.shared.clock, maxLagMs: MAX_LAG_MS, maxChanges: 100 });
    rule.hears(true);
    const outcomes: string[] = [];
    const lookup = new ReplicatedLookup({
      rule,
      primary: {
        find: async () => {
          if (this.primaryIsAway) throw new AppError("TEMPORARILY_UNAVAILABLE", "away");
          return this.history.at(-1)?.route;
        },
      },
      replica: {
        findRoutes: async (codes) => {
          const { replayed } = this;
          return { replayed, routes: codes.map(() => this.history[replayed]?.route) };
        },
      },
      bounds: { timeoutMs: 1_000, maxBatch: 10, maxQueued: 10 },
      neededTimeoutMs: 1_000,
      onLookup: (source, outcome) => outcomes.push(`${source} ${outcome}`),
    });
    // Without leases: a lookup that fails leaves one, and on this clock it would never end.
    return { rule, lookup, outcomes, ...this.shared.process({ lookup, leaseMs: 0 }) };
  }

  async check({ rule, lookup }: ReturnType<Lagging["start"]>): Promise<void> {
    if (!this.primaryIsAway) {
      await rule.sample(async () => this.history.length - 1);
      lookup.primaryIsBack();
    }
    lookup.replicaIsAt(this.replayed);
  }

  /** An answer with an age was so within that age; one that is given in need says nothing of it. */
  async find({ cache, outcomes }: ReturnType<Lagging["start"]>): Promise<string> {
    outcomes.length = 0;
    try {
      const { route, ageMs } = await cache.find("a", 0);
      if (outcomes.includes("replica needed")) return "needed";
      const then = this.history.findLast(({ atMs }) => atMs <= this.shared.clock() - ageMs);
      expect(route?.version ?? 0).toBeGreaterThanOrEqual(then?.route.version ?? 0);
      return outcomes.at(-1) ?? "copy";
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return "unavailable";
    }
  }
}

test("whatever lags, is away or starts, an answer was true within the age that it claims, and none made in need is shared", async () => {
  const step = fc.record({
    kind: fc.constantFrom(
      "find",
      "find",
      "find",
      "check",
      "change",
      "replay",
      "away",
      "back",
      "join",
      "pass",
    ),
    process: fc.nat({ max: 1 }),
    ms: fc.constantFrom(1, 400, 3_000, 6_000, 55_500),
  });
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: "max" }), async (steps) => {
      const world = new Lagging();
      world.change();
      for (const { kind, process: index, ms } of steps) {
        const process = world.processes[index];
        if (process === undefined) continue;
        if (kind === "find") seen.add(await world.find(process));
        if (kind === "check") await world.check(process);
        if (kind === "change" && !world.primaryIsAway) world.change();
        if (kind === "replay") world.replayed = Math.min(world.replayed + 1, world.history.length - 1);
        if (kind === "away") world.primaryIsAway = true;
        if (kind === "back") world.primaryIsAway = false;
        if (kind === "join") world.processes[index] = world.start();
        // What no process of this world hears of is bounded by the age alone.
        world.shared.clock.advance(kind === "pass" ? ms : 1);
      }
      await world.shared.close();
    }),
    { numRuns: 500 },
  );
  // Otherwise nothing was judged.
  expect([...seen]).toEqual(expect.arrayContaining(["copy", "replica found", "needed", "primary found"]));
});
