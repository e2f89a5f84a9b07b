// The process cache of routes while the store is away.
import { beforeEach, describe, expect, test } from "bun:test";
import { AppError } from "../../src/lib/errors.ts";
import { aRoute, CacheStage, RETRY_MS, TTL_MS, UNKNOWN_TTL_MS } from "../helpers/cache-stage.ts";
import { errorOf } from "../helpers/error-of.ts";

/** Real time: short, because tests wait for it. */
const STALE_AFTER_MS = 15;

const unavailable = () => new AppError("TEMPORARILY_UNAVAILABLE", "not now");

let stage = new CacheStage();

beforeEach(() => {
  stage = new CacheStage();
});

describe("when the store cannot be asked", () => {
  test("an expired route is served at once and counted as stale, with one attempt every half second beside it", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("one"));
    stage.clock.advance(TTL_MS);
    const finding = cache.find("a");
    stage.lookups[1]?.reject(unavailable());
    expect((await finding)?.target).toBe("one");
    stage.clock.advance(RETRY_MS - 1);
    expect((await cache.find("a"))?.target).toBe("one");
    expect(stage.lookups).toHaveLength(2);
    stage.clock.advance(1);
    expect((await cache.find("a"))?.target).toBe("one");
    expect((await cache.find("a"))?.target).toBe("one");
    expect(stage.lookups).toHaveLength(3);
    stage.lookups[2]?.resolve(aRoute("two"));
    await turns(5);
    expect(cache.peek("a")?.target).toBe("two");
    expect(stage.results).toEqual(["miss", "stale", "stale", "stale", "stale", "hit"]);
  });

  test("routes that may be outdated are served too", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("one"));
    cache.expireAll();
    const finding = cache.find("a");
    stage.lookups[1]?.reject(unavailable());
    expect((await finding)?.target).toBe("one");
  });

  test("an unknown code is an error and never unknown", async () => {
    const cache = stage.open();
    await stage.fill(cache, "none", undefined);
    stage.clock.advance(UNKNOWN_TTL_MS);
    for (const code of ["none", "never asked"]) {
      const finding = cache.find(code);
      stage.lookups.at(-1)?.reject(unavailable());
      expect(await errorOf(finding)).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    }
  });

  test("a route that was invalidated is an error rather than served", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("old"));
    stage.clock.advance(TTL_MS);
    const finding = cache.find("a");
    cache.invalidate("a");
    stage.lookups[1]?.reject(unavailable());
    expect(await errorOf(finding)).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
  });

  test("a bug is not hidden behind an expired route", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("one"));
    stage.clock.advance(TTL_MS);
    const finding = cache.find("a");
    stage.lookups[1]?.reject(new Error("a bug"));
    expect((await errorOf(finding)).message).toBe("a bug");
  });

  test("a fresh route is served without a try", async () => {
    const cache = stage.open();
    await stage.fill(cache, "a", aRoute("one"));
    const failing = cache.find("b");
    stage.lookups[1]?.reject(unavailable());
    await errorOf(failing);
    expect((await cache.find("a"))?.target).toBe("one");
    expect(stage.results.at(-1)).toBe("hit");
  });
});

describe("when a lookup hangs", () => {
  test("an expired route is served after the bound, and from then on at once", async () => {
    const cache = await withExpired();
    const startedAtMs = performance.now();
    expect((await cache.find("a"))?.target).toBe("one");
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(STALE_AFTER_MS - 1);
    const next = cache.find("a");
    // Without any timer: three turns of the microtask queue are enough.
    expect(await Promise.race([next, turns(3)])).toEqual(aRoute("one"));
    expect(stage.results).toEqual(["miss", "stale", "stale"]);
    expect(stage.lookups).toHaveLength(2);
  });

  test("its answer is kept whenever it comes, and lookups are waited for again", async () => {
    const cache = await withExpired();
    await stage.fill(cache, "b", aRoute("b1", 2));
    stage.clock.advance(TTL_MS);
    await cache.find("a");
    const hanging = stage.lookups.find(({ code }, index) => code === "a" && index > 0);
    hanging?.resolve(aRoute("two"));
    await turns(5);
    expect(cache.peek("a")?.target).toBe("two");
    await stage.fill(cache, "b", aRoute("b2", 2));
    expect(cache.peek("b")?.target).toBe("b2");
  });

  test("a route that was changed meanwhile is not served: the lookup is waited for", async () => {
    const cache = await withExpired("a", "b");
    const finding = cache.find("a");
    cache.invalidate("a");
    const invalidated = stage.lookups.at(-1);
    // Begun later, so the bound of the first has passed as well.
    expect((await cache.find("b"))?.target).toBe("one");
    invalidated?.resolve(aRoute("two"));
    expect((await finding)?.target).toBe("two");
    expect(stage.results).toEqual(["miss", "miss", "stale", "miss"]);
  });

  test("a code that is not in the cache waits for its lookup", async () => {
    const cache = await withExpired();
    const finding = cache.find("new");
    const lookup = stage.lookups.at(-1);
    expect((await cache.find("a"))?.target).toBe("one");
    lookup?.reject(unavailable());
    expect(await errorOf(finding)).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
  });

  test("a bug behind a stale answer is seen by the next one who asks", async () => {
    const cache = await withExpired();
    await cache.find("a");
    stage.lookups[1]?.reject(new Error("a bug"));
    await errorOf(stage.lookups[1]?.promise ?? Promise.resolve());
    const finding = cache.find("a");
    stage.lookups[2]?.reject(new Error("a bug"));
    expect((await errorOf(finding)).message).toBe("a bug");
  });
});

/** A cache with expired entries, whose lookups nobody answers. */
async function withExpired(...codes: string[]) {
  const cache = stage.open({ staleAfterMs: STALE_AFTER_MS });
  for (const code of codes.length > 0 ? codes : ["a"]) await stage.fill(cache, code, aRoute("one"));
  cache.expireAll();
  return cache;
}

async function turns(count: number): Promise<undefined> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}
