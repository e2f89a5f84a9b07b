// The process cache of routes while the store is away.
import { beforeEach, describe, expect, test } from "bun:test";
import { AppError } from "../../src/lib/errors.ts";
import { aRoute, CacheStage, RETRY_MS, TTL_MS, UNKNOWN_TTL_MS } from "../helpers/cache-stage.ts";
import { errorOf } from "../helpers/error-of.ts";

const unavailable = () => new AppError("TEMPORARILY_UNAVAILABLE", "not now");

let stage = new CacheStage();

beforeEach(() => {
  stage = new CacheStage();
});

describe("when the store cannot be asked", () => {
  test("an expired route is served and counted as stale, with one attempt every half second", async () => {
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
    await stage.fill(cache, "a", aRoute("two"));
    expect(cache.peek("a")?.target).toBe("two");
    expect(stage.results).toEqual(["miss", "stale", "stale", "miss", "hit"]);
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
