// The bounded map behind the caches.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ClockMap } from "../../src/lib/clock-map.ts";

const mapOf = (keys: string, bounds = { maxEntries: 3, maxBytes: 100 }) => {
  const map = new ClockMap<string, string>(bounds);
  for (const key of keys) map.set(key, key.toUpperCase(), 1);
  return map;
};

/** Without asking, which would count as a use. */
const heldAfter = (map: ClockMap<string, string>, keys: string) =>
  keys
    .split("")
    .filter((key) => map.get(key) !== undefined)
    .join("");

describe("a full map", () => {
  test("drops the oldest entry", () => {
    expect(heldAfter(mapOf("abcde"), "abcde")).toBe("cde");
  });

  test("gives an entry that was used a second chance, once", () => {
    const map = mapOf("abc");
    map.get("a");
    map.set("d", "D", 1);
    map.set("e", "E", 1);
    map.set("f", "F", 1);
    expect(heldAfter(map, "abcdef")).toBe("def");
    const other = mapOf("abc");
    other.get("a");
    other.set("d", "D", 1);
    expect(heldAfter(other, "abcd")).toBe("acd");
  });

  test("of which every entry was used drops the oldest", () => {
    const map = mapOf("abc");
    for (const key of "cba") map.get(key);
    map.set("d", "D", 1);
    expect(heldAfter(map, "abcd")).toBe("bcd");
  });

  test("drops as many as a heavy entry needs", () => {
    const map = mapOf("abcd", { maxEntries: 10, maxBytes: 4 });
    map.set("e", "E", 3);
    expect([map.size, map.bytes]).toEqual([2, 4]);
    expect(heldAfter(map, "abcde")).toBe("de");
  });
});

test("an entry heavier than the whole map is not kept, and neither is what it replaces", () => {
  const map = mapOf("ab");
  map.set("a", "heavy", 101);
  expect(map.get("a")).toBeUndefined();
  expect(map.get("b")).toBe("B");
  expect(map.bytes).toBe(1);
});

test("an entry that is set again has its new value and weight", () => {
  const map = mapOf("ab");
  map.set("a", "new", 40);
  expect([map.get("a"), map.size, map.bytes]).toEqual(["new", 2, 41]);
});

test("deleting and clearing free the weight", () => {
  const map = mapOf("abc");
  map.delete("b");
  map.delete("b");
  expect([map.size, map.bytes, map.get("b")]).toEqual([2, 2, undefined]);
  map.clear();
  expect([map.size, map.bytes, map.get("a")]).toEqual([0, 0, undefined]);
});

test("whatever happens, the bounds hold, the weight is exact and no value is wrong or out of date", () => {
  const key = fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h");
  const step = fc.oneof(
    fc.record({ kind: fc.constant("set" as const), key, value: fc.nat(), bytes: fc.nat({ max: 12 }) }),
    fc.record({ kind: fc.constantFrom("get" as const, "delete" as const), key }),
    fc.record({ kind: fc.constant("clear" as const), key }),
  );
  const bounds = fc.record({
    maxEntries: fc.integer({ min: 1, max: 6 }),
    maxBytes: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(bounds, fc.array(step, { maxLength: 80 }), ({ maxEntries, maxBytes }, steps) => {
      const map = new ClockMap<string, number>({ maxEntries, maxBytes });
      // Everything ever set and not removed: the map may know less, but never more and nothing else.
      const model = new Map<string, { value: number; bytes: number }>();
      for (const step of steps) {
        if (step.kind === "set") {
          map.set(step.key, step.value, step.bytes);
          model.set(step.key, step);
          expect(map.get(step.key)).toBe(step.bytes <= maxBytes ? step.value : undefined);
          if (step.bytes > maxBytes) model.delete(step.key);
        }
        if (step.kind === "delete") {
          map.delete(step.key);
          model.delete(step.key);
        }
        if (step.kind === "clear") {
          map.clear();
          model.clear();
        }
        if (step.kind === "get") {
          const value = map.get(step.key);
          if (value !== undefined) expect(model.get(step.key)?.value).toBe(value);
        }
        expect(map.size).toBeLessThanOrEqual(maxEntries);
        expect(map.bytes).toBeLessThanOrEqual(maxBytes);
        expect(map.size).toBeLessThanOrEqual(model.size);
      }
      const held = [...model].filter(([name]) => map.get(name) !== undefined);
      expect(held).toHaveLength(map.size);
      expect(held.reduce((sum, [, { bytes }]) => sum + bytes, 0)).toBe(map.bytes);
    }),
    { numRuns: 500 },
  );
});
