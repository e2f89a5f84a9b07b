// Lookups with a replica whose answers, and the primary's, the test gives by hand.
import { beforeEach, describe, expect, test } from "bun:test";
import { manualClock } from "../../src/lib/clock.ts";
import { AppError } from "../../src/lib/errors.ts";
import type { Route } from "../../src/links/link.ts";
import { ReplicaRule } from "../../src/links/replica-rule.ts";
import { ReplicatedLookup } from "../../src/links/replicated-lookup.ts";
import { aRoute } from "../helpers/cache-stage.ts";
import { errorOf } from "../helpers/error-of.ts";

const NEW = aRoute("https://example.com/new");
const OLD = aRoute("https://example.com/old");
const MAX_LAG_MS = 1_000;

class Stage {
  readonly clock = manualClock(1_000_000);
  readonly rule = new ReplicaRule({ clock: this.clock, maxLagMs: MAX_LAG_MS, maxChanges: 100 });
  readonly outcomes: string[] = [];
  /** What each server has; undefined is a server that cannot be asked. */
  primary: Record<string, Route> | undefined = { a: NEW };
  replica: Record<string, Route> | undefined = { a: OLD };
  replayed = 10;
  readonly lookup = new ReplicatedLookup({
    rule: this.rule,
    primary: { find: async (code) => (this.primary ?? away())[code] },
    replica: {
      findRoutes: async (codes) => {
        const routes = this.replica ?? away();
        return { replayed: this.replayed, routes: codes.map((code) => routes[code]) };
      },
    },
    bounds: { timeoutMs: 1_000, maxBatch: 10, maxQueued: 10 },
    neededTimeoutMs: 1_000,
    onLookup: (source, outcome) => this.outcomes.push(`${source} ${outcome}`),
  });

  async check(position: number): Promise<void> {
    await this.rule.sample(async () => position);
    this.lookup.replicaIsAt(this.replayed);
  }
}

function away(): never {
  throw new AppError("TEMPORARILY_UNAVAILABLE", "away");
}

let stage: Stage;
beforeEach(async () => {
  stage = new Stage();
  stage.rule.hears(true);
  await stage.check(10);
});

describe("how old an answer may be", () => {
  test("the primary's is new, and the replica's as old as a replica may be that is used", async () => {
    expect(await stage.lookup.find("a")).toEqual({ route: OLD, ageMs: MAX_LAG_MS, shareable: true });
    stage.rule.changed("a");
    expect(await stage.lookup.find("a")).toEqual({ route: NEW, ageMs: 0, shareable: true });
    expect(await stage.lookup.find("nobody")).toEqual({ route: undefined, ageMs: 0, shareable: true });
  });

  test("nobody knows while the primary is away, so that answer is not for others", async () => {
    stage.primary = undefined;
    stage.clock.advance(2 * MAX_LAG_MS);
    expect(await stage.lookup.find("a")).toEqual({ route: OLD, ageMs: MAX_LAG_MS, shareable: false });
  });
});

describe("a lookup", () => {
  test("is answered by the replica when that is allowed", async () => {
    expect((await stage.lookup.find("a")).route).toBe(OLD);
    expect(stage.outcomes).toEqual(["replica found"]);
  });

  test("of a link that changed is answered by the primary without asking the replica", async () => {
    stage.rule.changed("a");
    expect((await stage.lookup.find("a")).route).toBe(NEW);
    expect(stage.outcomes).toEqual(["primary found"]);
  });

  test("that the replica answers from an earlier state than it last had goes to the primary", async () => {
    stage.replayed = 9;
    expect((await stage.lookup.find("a")).route).toBe(NEW);
    expect(stage.outcomes).toEqual(["replica outdated", "primary found"]);
  });

  test("of a link that changes while the replica is asked goes to the primary", async () => {
    const finding = stage.lookup.find("a");
    stage.rule.changed("a");
    expect((await finding).route).toBe(NEW);
    expect(stage.outcomes).toEqual(["replica outdated", "primary found"]);
  });

  test("that the replica does not find is made at the primary", async () => {
    stage.replica = {};
    expect((await stage.lookup.find("a")).route).toBe(NEW);
    expect((await stage.lookup.find("nobody")).route).toBeUndefined();
    expect(stage.outcomes).toEqual([
      "replica unknown",
      "primary found",
      "replica unknown",
      "primary unknown",
    ]);
  });

  test("goes to the primary after the replica failed, until a check finds it again", async () => {
    stage.replica = undefined;
    expect((await stage.lookup.find("a")).route).toBe(NEW);
    stage.replica = { a: OLD };
    expect((await stage.lookup.find("a")).route).toBe(NEW);
    await stage.check(10);
    expect((await stage.lookup.find("a")).route).toBe(OLD);
    expect(stage.outcomes).toEqual(["replica failed", "primary found", "primary found", "replica found"]);
  });
});

describe("while the primary is away a lookup", () => {
  beforeEach(() => {
    stage.primary = undefined;
    stage.clock.advance(2 * MAX_LAG_MS);
  });

  test("is answered by the replica, however far behind it is", async () => {
    expect((await stage.lookup.find("a")).route).toBe(OLD);
    expect((await stage.lookup.find("a")).route).toBe(OLD);
    // The second does not wait for the primary again.
    expect(stage.outcomes).toEqual(["primary failed", "replica needed", "replica needed"]);
  });

  test("of a link that the replica does not have is unavailable and not unknown", async () => {
    expect(await errorOf(stage.lookup.find("nobody"))).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
  });

  test("is unavailable when the replica lacks a change that was heard", async () => {
    stage.rule.changed("a");
    expect(await errorOf(stage.lookup.find("a"))).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
  });

  test("is made at the primary again once that has answered a check", async () => {
    await stage.lookup.find("a");
    stage.primary = { a: NEW };
    stage.lookup.primaryIsBack();
    stage.rule.changed("a");
    expect((await stage.lookup.find("a")).route).toBe(NEW);
  });
});
