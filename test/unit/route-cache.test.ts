// The process cache of routes: how old an answer may be, how many are kept, and who asks the store.
import { beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { fresh } from "../../src/links/resolve.ts";
import { aRoute, CacheStage, TTL_MS, UNKNOWN_TTL_MS } from "../helpers/cache-stage.ts";
import { errorOf } from "../helpers/error-of.ts";

let stage = new CacheStage();

beforeEach(() => {
  stage = new CacheStage();
});

describe("how long an answer lives", () => {
  test("a cached route is answered without a lookup, by peek as by find", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("one"));
    expect(cache.peek("a")?.target).toBe("one");
    expect((await cache.find("a"))?.target).toBe("one");
    expect(stage.lookups).toHaveLength(1);
    expect(stage.results).toEqual(["miss", "hit", "hit"]);
    expect(cache.peek("b")).toBeUndefined();
  });

  test("hits never renew a life: it ends at the time to live however often it is asked for", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("one"));
    for (let passedMs = 0; passedMs < TTL_MS; passedMs += 1_000) {
      expect(cache.peek("a")?.target).toBe("one");
      stage.clock.advance(1_000);
    }
    expect(cache.peek("a")).toBeUndefined();
    await stage.fill(cache, "a", aRoute("two"));
    expect(stage.lookups).toHaveLength(2);
    expect(cache.peek("a")?.target).toBe("two");
  });

  test("jitter only shortens a life, by at most a tenth", () => {
    return fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), async (random) => {
        const cache = stage.open({ random: () => random });
        await stage.fill(cache, "a", aRoute("one"));
        stage.clock.advance(TTL_MS * 0.9 - 1);
        expect(cache.peek("a")?.target).toBe("one");
        stage.clock.advance(TTL_MS * 0.1 + 1);
        expect(cache.peek("a")).toBeUndefined();
      }),
    );
  });

  test("what a shared copy has used of its life is gone, for routes and for unknown codes", async () => {
    const ages: Record<string, number> = { a: TTL_MS - 1_000, none: UNKNOWN_TTL_MS - 500, spent: TTL_MS };
    const asked: string[] = [];
    const cache = stage.open({
      source: {
        find: async (code) => {
          asked.push(code);
          return { route: code === "none" ? undefined : aRoute("one"), ageMs: ages[code] ?? 0 };
        },
      },
    });
    for (const code of Object.keys(ages)) await cache.find(code);
    expect([cache.peek("a")?.target, cache.peek("spent")]).toEqual(["one", undefined]);
    stage.clock.advance(499);
    await cache.find("none");
    expect(asked).toHaveLength(3);
    stage.clock.advance(501);
    expect(cache.peek("a")).toBeUndefined();
    await cache.find("none");
    expect(asked).toEqual(["a", "none", "spent", "none"]);
  });

  test("an unknown code is looked up again after two seconds", async () => {
    const cache = stage.open();
    await stage.fill(cache, "none", undefined);
    stage.clock.advance(UNKNOWN_TTL_MS - 1);
    expect(await cache.find("none")).toBeUndefined();
    expect(stage.lookups).toHaveLength(1);
    stage.clock.advance(1);
    await stage.fill(cache, "none", aRoute("made since"));
    expect(stage.lookups).toHaveLength(2);
    expect(cache.peek("none")?.target).toBe("made since");
    expect(stage.results).toEqual(["miss", "negative_hit", "miss", "hit"]);
  });

  test("a link that vanished is unknown and no longer cached", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("one"));
    stage.clock.advance(TTL_MS);
    await stage.fill(cache, "a", undefined);
    expect(cache.size).toBe(0);
    expect(await cache.find("a")).toBeUndefined();
    expect(stage.lookups).toHaveLength(2);
  });
});

describe("bounds", () => {
  test("a flood of random codes pushes out no good entry", async () => {
    const cache = stage.open({ maxEntries: 10, maxUnknown: 20 });
    for (let index = 0; index < 10; index++) await stage.fill(cache, `good${index}`, aRoute(`t${index}`));
    for (let index = 0; index < 5_000; index++) await stage.fill(cache, `random${index}`, undefined);
    for (let index = 0; index < 10; index++) expect(cache.peek(`good${index}`)?.target).toBe(`t${index}`);
  });

  test("of unknown codes no more are remembered than allowed", async () => {
    const cache = stage.open({ maxUnknown: 20 });
    for (let index = 0; index < 100; index++) await stage.fill(cache, `random${index}`, undefined);
    stage.lookups = [];
    const asked = Array.from({ length: 100 }, (_, index) => cache.find(`random${index}`));
    for (const lookup of stage.lookups) lookup.resolve(undefined);
    await Promise.all(asked);
    expect(stage.lookups).toHaveLength(80);
  });

  test("of known codes no more are kept than allowed, by number and by bytes", async () => {
    const few = stage.open({ maxEntries: 7 });
    const small = stage.open({ maxBytes: 10_000 });
    for (let index = 0; index < 100; index++) {
      await stage.fill(few, `c${index}`, aRoute("t"));
      await stage.fill(small, `c${index}`, aRoute("t".repeat(340)));
    }
    expect(few.size).toBe(7);
    // 400 bytes each.
    expect(small.size).toBeLessThan(25);
    expect(small.size).toBeGreaterThan(15);
  });
});

describe("one lookup per code at a time", () => {
  test("a thousand concurrent finds are one lookup", async () => {
    const cache = stage.open();
    const finds = Array.from({ length: 1_000 }, () => cache.find("hot"));
    expect(stage.lookups).toHaveLength(1);
    stage.lookups[0]?.resolve(aRoute("one"));
    const answers = await Promise.all(finds);
    expect(new Set(answers.map((answer) => answer?.target))).toEqual(new Set(["one"]));
  });

  test("different codes are looked up side by side", () => {
    const cache = stage.open();
    void cache.find("a");
    void cache.find("b");
    expect(stage.lookups.map(({ code }) => code)).toEqual(["a", "b"]);
  });

  test("a failed lookup fails all who wait for it and is not remembered", async () => {
    const cache = stage.open();
    const finds = [cache.find("a"), cache.find("a")];
    stage.lookups[0]?.reject(new Error("a bug"));
    for (const find of finds) expect((await errorOf(find)).message).toBe("a bug");
    await stage.fill(cache, "a", aRoute("one"));
    expect(cache.peek("a")?.target).toBe("one");
  });
});

describe("invalidation", () => {
  test("an invalidated route is looked up again at once", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("old"));
    await stage.fill(cache, "none", undefined);
    cache.invalidate("a");
    cache.invalidate("none");
    expect(cache.peek("a")).toBeUndefined();
    await stage.fill(cache, "a", aRoute("new"));
    await stage.fill(cache, "none", aRoute("made"));
    expect([cache.peek("a")?.target, cache.peek("none")?.target]).toEqual(["new", "made"]);
  });

  test("a message about a version that is here already takes nothing away", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("two", 1, 2));
    for (const version of [1, 2]) cache.invalidate("a", version);
    expect(cache.peek("a")?.target).toBe("two");
    cache.invalidate("a", 3);
    expect(cache.peek("a")).toBeUndefined();
  });

  test("a lookup says which version was seen, also when that has expired", async () => {
    const asked: number[] = [];
    const cache = stage.open({
      source: {
        find: async (_code, atLeastVersion) => {
          asked.push(atLeastVersion);
          return { route: aRoute("seven", 1, 7), ageMs: 0 };
        },
      },
    });
    await cache.find("a");
    stage.clock.advance(TTL_MS);
    await cache.find("a");
    expect(asked).toEqual([0, 7]);
  });

  test.each([[aRoute("old")], [undefined]])(
    "an answer that was under way during an invalidation is not kept: %j",
    async (old) => {
      const cache = stage.open();
      const early = cache.find("a");
      cache.invalidate("a");
      stage.lookups[0]?.resolve(old);
      expect(await early).toEqual(old);
      expect(cache.peek("a")).toBeUndefined();
      await stage.fill(cache, "a", aRoute("new"));
      expect(stage.lookups).toHaveLength(2);
    },
  );

  test.each(["older first", "newer first"])(
    "a request after an invalidation does not join the older lookup (%s)",
    async (order) => {
      const cache = stage.open();
      const early = cache.find("a");
      cache.invalidate("a");
      const late = cache.find("a");
      expect(stage.lookups).toHaveLength(2);
      const landings = [
        () => stage.lookups[0]?.resolve(aRoute("old")),
        () => stage.lookups[1]?.resolve(aRoute("new")),
      ];
      for (const land of order === "older first" ? landings : landings.toReversed()) {
        land();
        await Promise.resolve();
      }
      expect([(await early)?.target, (await late)?.target]).toEqual(["old", "new"]);
      expect(cache.peek("a")?.target).toBe("new");
    },
  );

  test("when changes may have been missed every entry and every lookup under way is outdated", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("old"));
    await stage.fill(cache, "none", undefined);
    const early = cache.find("b");
    cache.expireAll();
    stage.lookups.at(-1)?.resolve(aRoute("old"));
    await early;
    for (const code of ["a", "none", "b"]) {
      expect(cache.peek(code)).toBeUndefined();
      await stage.fill(cache, code, aRoute(`new ${code}`));
      expect(cache.peek(code)?.target).toBe(`new ${code}`);
    }
  });

  test("whatever the interleaving, nobody gets a route older than the last change before the question", () => {
    const step = fc.oneof(
      fc.constantFrom("find", "change", "gap").map((kind) => ({ kind, value: 0 })),
      fc.nat({ max: 3 }).map((value) => ({ kind: "land", value })),
      fc.nat({ max: TTL_MS }).map((value) => ({ kind: "advance", value })),
    );
    return fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        let version = 0;
        const waiting: (() => void)[] = [];
        const cache = stage.open({
          // Reads the store the moment it is asked and answers late: the worst that a database can do.
          source: fresh({
            find: () => {
              const read = aRoute(String(version), version);
              return new Promise((resolve) => waiting.push(() => resolve(read)));
            },
          }),
        });
        const finds: Promise<{ atLeast: number; got: number | undefined }>[] = [];
        for (const { kind, value } of steps) {
          if (kind === "find") {
            const atLeast = version;
            finds.push(cache.find("a").then((found) => ({ atLeast, got: found?.linkId })));
          }
          if (kind === "change" || kind === "gap") {
            version++;
            if (kind === "change") cache.invalidate("a");
            else cache.expireAll();
          }
          if (kind === "land") waiting.splice(value, 1)[0]?.();
          if (kind === "advance") stage.clock.advance(value);
          for (let turn = 0; turn < 4; turn++) await Promise.resolve();
          const peeked = cache.peek("a");
          if (peeked !== undefined) expect(peeked.linkId).toBe(version);
        }
        for (const land of waiting) land();
        for (const { atLeast, got } of await Promise.all(finds)) expect(got).toBeGreaterThanOrEqual(atLeast);
      }),
      { numRuns: 300 },
    );
  });
});
