// Which shared copies a process believes, after what it heard.
import { beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { manualClock } from "../../src/lib/clock.ts";
import { Trust } from "../../src/links/trust.ts";

const TTL_MS = 60_000;
let clock = manualClock(5_000_000);
let trust: Trust;

beforeEach(() => {
  clock = manualClock(5_000_000);
  trust = new Trust({ now: clock, ttlMs: TTL_MS, maxChanges: 5 });
});

const accepts = (version: number, ageMs: number, code = "a") =>
  trust.accepts(code, { version, ageMs }, clock());

describe("what a process believes", () => {
  test("a copy of which nothing is known, until its time to live has passed", () => {
    expect([accepts(0, 0), accepts(1, TTL_MS - 1), accepts(1, TTL_MS)]).toEqual([true, true, false]);
  });

  test("after a change to a known version no older one, however young the copy is", () => {
    trust.changed("a", 7);
    clock.advance(1_000);
    expect([accepts(6, 0), accepts(7, 5_000), accepts(8, 0)]).toEqual([false, true, true]);
    expect(accepts(1, 5_000, "b")).toBe(true);
    trust.changed("a", 6);
    expect(accepts(6, 0)).toBe(false);
  });

  test("after a change to an unknown version only copies that were born since", () => {
    clock.advance(10);
    trust.changed("a");
    clock.advance(100);
    expect([accepts(9, 100), accepts(9, 99)]).toEqual([false, true]);
    trust.changed("a", 7);
    expect([accepts(9, 100), accepts(6, 99), accepts(7, 99)]).toEqual([false, false, true]);
  });

  test("a copy that was asked for before the change is judged as of then", () => {
    const askedAtMs = clock();
    clock.advance(50);
    trust.changed("a");
    clock.advance(50);
    expect(trust.accepts("a", { version: 9, ageMs: 0 }, askedAtMs)).toBe(false);
  });

  test("after a failure only copies that were born since", () => {
    trust.distrust();
    clock.advance(100);
    expect([accepts(9, 100), accepts(1, 99)]).toEqual([false, true]);
  });

  test("a change is remembered for as long as copies from before it can live, and no longer", () => {
    trust.changed("a", 7);
    clock.advance(TTL_MS);
    trust.changed("b", 8);
    expect(accepts(6, 0)).toBe(false);
    clock.advance(1);
    trust.changed("c", 9);
    expect(trust.size).toBe(2);
    expect(accepts(6, 0)).toBe(true);
  });

  test("with too many changes every copy from before is distrusted, and memory stays bounded", () => {
    for (let change = 0; change < 100; change++) {
      trust.changed(`c${change}`, change + 1);
      expect(trust.size).toBeLessThanOrEqual(5);
    }
    clock.advance(10);
    expect([accepts(9, 11, "c0"), accepts(9, 9, "c0")]).toEqual([false, true]);
  });

  test("whatever happens, a copy from before the last change of its code is not believed", () => {
    const step = fc.record({
      kind: fc.constantFrom("changed", "heard", "distrust"),
      code: fc.constantFrom("a", "b", "c", "d", "e", "f", "g"),
      passMs: fc.integer({ min: 1, max: TTL_MS }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        clock = manualClock(5_000_000);
        trust = new Trust({ now: clock, ttlMs: TTL_MS, maxChanges: 4 });
        const lastChange = new Map<string, { atMs: number; version: number }>();
        let version = 0;
        for (const { kind, code, passMs } of steps) {
          if (kind === "distrust") trust.distrust();
          else {
            version++;
            lastChange.set(code, { atMs: clock(), version });
            trust.changed(code, kind === "heard" ? version : undefined);
          }
          clock.advance(passMs);
          for (const [changed, { atMs, version: newest }] of lastChange) {
            const ageMs = clock() - atMs;
            expect(trust.accepts(changed, { version: newest - 1, ageMs: ageMs + 1 }, clock())).toBe(false);
            expect(trust.accepts(changed, { version: version + 1, ageMs: 0 }, clock())).toBe(true);
          }
        }
      }),
    );
  });
});
