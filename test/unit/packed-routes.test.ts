// Routes packed into buffers: what was put in comes out, within the bounds, and what is used stays.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { LINK_STATUSES, type Route } from "../../src/links/link.ts";
import { PackedRoutes } from "../../src/links/packed-routes.ts";
import { aRoute } from "../helpers/cache-stage.ts";

const NOW_MS = 1_000_000;
const LATER_MS = NOW_MS + 60_000;
const ROOMY = { maxEntries: 100_000, maxBytes: 1 << 26 };

describe("what was put in comes out", () => {
  test("every part of a route, in any alphabet", () => {
    const packed = new PackedRoutes(ROOMY);
    const routes: [string, Route][] = [
      ["plain", aRoute("https://example.com/?q=1")],
      ["empty", aRoute("")],
      ["wide", aRoute("https://example.com/Straße/日本/🎉")],
      ["lone", aRoute("\ud83c")],
      ["latin", aRoute("é")],
      ["large", { ...aRoute("x"), linkId: 2 ** 53 - 1, version: 2 ** 40, expiresAtMs: 4e12 }],
      ["gone", { ...aRoute("x"), deleted: true }],
      ...LINK_STATUSES.map((status): [string, Route] => [`s${status}`, { ...aRoute("x"), status }]),
    ];
    for (const [code, route] of routes) packed.set(code, route, LATER_MS);
    for (const [code, route] of routes) expect(packed.fresh(code, NOW_MS)).toEqual(route);
    expect(packed.size).toBe(routes.length);
    expect(packed.any("other")).toBeUndefined();
  });

  test("a life that is over, or a time that is over for all: only for who takes it however old", () => {
    const packed = new PackedRoutes(ROOMY);
    packed.set("a", aRoute("one"), LATER_MS);
    expect(packed.fresh("a", LATER_MS)).toBeUndefined();
    expect(packed.fresh("a", LATER_MS - 1)).toEqual(aRoute("one"));
    packed.expireAll();
    expect(packed.fresh("a", NOW_MS)).toBeUndefined();
    expect(packed.any("a")).toEqual(aRoute("one"));
    packed.set("a", aRoute("two"), LATER_MS);
    expect(packed.fresh("a", NOW_MS)).toEqual(aRoute("two"));
  });

  test("codes of one hash are told apart", () => {
    const packed = new PackedRoutes(ROOMY);
    // Enough of them that the lowest bits of many are the same, and that the index grows.
    const codes = Array.from({ length: 20_000 }, (_, number) => number.toString(36));
    for (const [number, code] of codes.entries()) packed.set(code, aRoute(`t${number}`, number), LATER_MS);
    for (const [number, code] of codes.entries()) {
      expect(packed.any(code)).toEqual(aRoute(`t${number}`, number));
      if (number % 3 === 0) packed.delete(code);
    }
    for (const [number, code] of codes.entries()) {
      expect(packed.any(code)).toEqual(number % 3 === 0 ? undefined : aRoute(`t${number}`, number));
    }
  });

  test("what is too large, or has a code that no request can have, is not kept and takes nothing away", () => {
    const packed = new PackedRoutes(ROOMY);
    packed.set("large", aRoute("t".repeat(16_000)), LATER_MS);
    packed.set("large", aRoute("t".repeat(17_000)), LATER_MS);
    packed.set("straße", aRoute("one"), LATER_MS);
    expect([packed.any("large"), packed.any("straße"), packed.size]).toEqual([undefined, undefined, 0]);
  });
});

describe("what is used stays", () => {
  test.each([
    { what: "entries", bounds: { maxEntries: 1_000, maxBytes: 1 << 26 } },
    { what: "bytes", bounds: { maxEntries: 1_000_000, maxBytes: 1 << 20 } },
  ])(
    "codes that are asked for outlive a flood of codes that are not, at the bound of $what",
    ({ bounds }) => {
      const packed = new PackedRoutes(bounds);
      const hot = Array.from({ length: 100 }, (_, number) => `hot${number}`);
      for (const code of hot) packed.set(code, aRoute(code), LATER_MS);
      for (let number = 0; number < 50_000; number++) {
        packed.set(`cold${number}`, aRoute("t".repeat(number % 200)), LATER_MS);
        expect(packed.fresh(hot[number % hot.length] ?? "", NOW_MS)?.target).toBe(hot[number % hot.length]);
      }
    },
  );

  test("where all are used, somebody goes all the same, and soon", () => {
    const packed = new PackedRoutes({ maxEntries: 50_000, maxBytes: 1 << 26 });
    for (let number = 0; number < 100_000; number++) {
      packed.set(`c${number}`, aRoute("t"), LATER_MS);
      expect(packed.fresh(`c${number}`, NOW_MS)?.target).toBe("t");
    }
    expect(packed.size).toBe(50_000);
  });
});

const codes = fc.integer({ min: 0, max: 40 }).map((number) => `code${number}`);
const lengths = fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 900 }));
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("set" as const),
      code: codes,
      length: lengths,
      wide: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("use" as const), code: codes }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), code: codes }) },
);

test("after any steps: no route but the last one of its code, within both bounds, and the newest is there", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 9_000, max: 20_000 }),
      fc.array(step, { minLength: 100, maxLength: 600 }),
      (maxEntries, maxBytes, steps) => {
        const packed = new PackedRoutes({ maxEntries, maxBytes });
        const model = new Map<string, Route>();
        for (const [version, each] of steps.entries()) {
          if (each.do === "delete") {
            packed.delete(each.code);
            model.delete(each.code);
          } else if (each.do === "set") {
            const route = aRoute((each.wide ? "ß" : "s").repeat(each.length), version, version);
            packed.set(each.code, route, LATER_MS);
            model.set(each.code, route);
            const fits = each.length * (each.wide ? 2 : 1) < 800;
            if (fits) expect(packed.any(each.code)).toEqual(route);
          }
          const found = packed.fresh(each.code, NOW_MS);
          if (found !== undefined) expect(found).toEqual(model.get(each.code) as Route);
          expect(packed.size).toBeLessThanOrEqual(maxEntries);
          expect(packed.bytes).toBeLessThanOrEqual(maxBytes);
        }
        const there = [...model].filter(([code, route]) => {
          const found = packed.any(code);
          if (found !== undefined) expect(found).toEqual(route);
          return found !== undefined;
        });
        expect(there).toHaveLength(packed.size);
      },
    ),
    { numRuns: 300 },
  );
});
