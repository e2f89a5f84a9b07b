// The rule for answers of a lagging copy, against a model of a primary and a replica that keeps every version.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { manualClock } from "../../src/lib/clock.ts";
import { ReplicaRule } from "../../src/links/replica-rule.ts";

const MAX_LAG_MS = 1_000;

function open(maxChanges = 100) {
  const clock = manualClock(1_000_000);
  const rule = new ReplicaRule({ clock, maxLagMs: MAX_LAG_MS, maxChanges });
  return { clock, rule, at: (position: number) => rule.sample(async () => position) };
}

describe("a replica's answer", () => {
  test("is not used before changes are heard and the primary was asked since then", async () => {
    const { rule, at } = open();
    await at(10);
    expect(rule.allows("a", 99)).toBe(false);
    rule.hears(true);
    expect(rule.allows("a", 99)).toBe(false);
    await at(10);
    expect(rule.allows("a", 9)).toBe(false);
    expect(rule.allows("a", 10)).toBe(true);
  });

  test("is not used for a changed link until it has replayed a position that was asked for after the change", async () => {
    const { rule, at } = open();
    rule.hears(true);
    await at(10);
    rule.changed("a");
    expect(rule.allows("a", 99)).toBe(false);
    expect(rule.allows("b", 10)).toBe(true);
    await at(20);
    expect(rule.allows("a", 19)).toBe(false);
    expect(rule.allows("a", 20)).toBe(true);
  });

  test("is not used on the word of a position that was asked for before the change and answered after it", async () => {
    const { rule, at } = open();
    rule.hears(true);
    await at(10);
    const { promise, resolve } = Promise.withResolvers<number>();
    const sampling = rule.sample(() => promise);
    rule.changed("a");
    resolve(10);
    await sampling;
    expect(rule.allows("a", 10)).toBe(false);
    await at(12);
    expect(rule.allows("a", 12)).toBe(true);
  });

  test("is not used when the replica is further behind than it may be, and its lag is told", async () => {
    const { rule, clock, at } = open();
    rule.hears(true);
    await at(10);
    expect(rule.lagMs(10)).toBe(0);
    clock.advance(MAX_LAG_MS);
    await at(20);
    expect(rule.lagMs(10)).toBe(MAX_LAG_MS);
    expect(rule.allows("a", 10)).toBe(true);
    clock.advance(1);
    expect(rule.allows("a", 10)).toBe(false);
    expect(rule.allows("a", 20)).toBe(true);
    expect(rule.lagMs(5)).toBe(Number.POSITIVE_INFINITY);
    expect(rule.lagMs(undefined)).toBe(Number.POSITIVE_INFINITY);
  });

  test("is not used after a gap, for any link, until the primary was asked again", async () => {
    const { rule, at } = open();
    rule.hears(true);
    await at(10);
    rule.gap();
    expect(rule.allows("a", 99)).toBe(false);
    await at(11);
    expect(rule.allows("a", 11)).toBe(true);
    rule.hears(false);
    await at(12);
    expect(rule.allows("a", 99)).toBe(false);
  });

  test("is not used on the word of a position that was asked for before a gap and answered after it", async () => {
    const { rule } = open();
    rule.hears(true);
    const { promise, resolve } = Promise.withResolvers<number>();
    const sampling = rule.sample(() => promise);
    rule.gap();
    resolve(10);
    await sampling;
    expect(rule.allows("a", 10)).toBe(false);
  });

  test("is used for no link when more changed than are remembered, until the primary was asked again", async () => {
    const { rule, at } = open(2);
    rule.hears(true);
    await at(10);
    for (const code of ["a", "b", "c"]) rule.changed(code);
    expect(["a", "c", "other"].map((code) => rule.allows(code, 99))).toEqual([false, false, false]);
    await at(20);
    expect(["a", "c", "other"].map((code) => rule.allows(code, 20))).toEqual([true, true, true]);
  });

  test("is not used on the word of another primary, whose log is shorter", async () => {
    const { rule, at } = open();
    rule.hears(true);
    await at(100);
    await at(50);
    expect(rule.allows("a", 100)).toBe(false);
    await at(50);
    expect(rule.allows("a", 50)).toBe(true);
  });

  test("is used while the primary is away however old it is, unless it lacks a change that was heard", async () => {
    const { rule, clock, at } = open();
    rule.hears(true);
    await at(10);
    rule.changed("a");
    clock.advance(MAX_LAG_MS * 100);
    expect(rule.allows("b", 10)).toBe(false);
    expect(rule.allowsInNeed("b", 10)).toBe(true);
    expect(rule.allowsInNeed("b", 9)).toBe(false);
    expect(rule.allowsInNeed("a", 99)).toBe(false);
    rule.hears(false);
    expect(rule.allowsInNeed("a", 9)).toBe(true);
  });
});

type Step =
  | { readonly kind: "edit"; readonly code: number }
  | { readonly kind: "hear" }
  | { readonly kind: "ask" }
  | { readonly kind: "answer" }
  | { readonly kind: "replay"; readonly steps: number }
  | { readonly kind: "crash"; readonly steps: number }
  | { readonly kind: "relisten" }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "look"; readonly code: number };

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("edit" as const), code: fc.nat(3) }),
  fc.record({ kind: fc.constant("hear" as const) }),
  fc.record({ kind: fc.constant("ask" as const) }),
  fc.record({ kind: fc.constant("answer" as const) }),
  fc.record({ kind: fc.constant("replay" as const), steps: fc.nat(5) }),
  fc.record({ kind: fc.constant("crash" as const), steps: fc.nat(5) }),
  fc.record({ kind: fc.constant("relisten" as const) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(600) }),
  fc.record({ kind: fc.constant("look" as const), code: fc.nat(3) }),
);

test("whatever happens in whatever order, an answer that is used has every change that was heard, and is at most so old", async () => {
  let used = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(stepArbitrary, { minLength: 40, maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      async (steps, maxChanges) => {
        const { clock, rule } = open(maxChanges);
        /** The log of the primary: which code changed, when; a position is an index into it. */
        const log: { code: number; atMs: number }[] = [];
        let heard = 0;
        let replayed = 0;
        const asked: (() => void)[] = [];
        const sampling: Promise<void>[] = [];
        rule.hears(true);
        for (const step of steps) {
          if (step.kind === "edit") log.push({ code: step.code, atMs: clock() });
          if (step.kind === "hear" && heard < log.length) rule.changed(String(log[heard++]?.code));
          if (step.kind === "ask") {
            const { promise, resolve } = Promise.withResolvers<number>();
            // The earliest that the primary may have looked: nothing that comes later is covered.
            const position = log.length;
            asked.push(() => resolve(position));
            sampling.push(rule.sample(() => promise));
          }
          if (step.kind === "answer") {
            asked.shift()?.();
            await sampling.shift();
          }
          if (step.kind === "replay") replayed = Math.min(log.length, replayed + step.steps);
          if (step.kind === "crash") replayed = Math.max(0, replayed - step.steps);
          if (step.kind === "relisten") {
            rule.hears(false);
            heard = log.length;
            rule.hears(true);
          }
          if (step.kind === "wait") clock.advance(step.ms);
          if (step.kind === "look" && rule.allows(String(step.code), replayed)) {
            used++;
            const missing = log.slice(replayed);
            const missingHeard = log.slice(replayed, heard).filter(({ code }) => code === step.code);
            expect(missingHeard).toEqual([]);
            for (const { atMs } of missing) expect(clock() - atMs).toBeLessThanOrEqual(MAX_LAG_MS);
          }
        }
        for (const answer of asked) answer();
        await Promise.all(sampling);
      },
    ),
    { numRuns: 2_000 },
  );
  expect(used).toBeGreaterThan(100);
});
