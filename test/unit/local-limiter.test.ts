// Limits counted in one process: so many uses a window, each subject for itself, in bounded memory.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { manualClock } from "../../src/lib/clock.ts";
import { LocalLimiter } from "../../src/lib/rate-limit.ts";

const WINDOW_MS = 60_000;

function openLimiter(limit: number, maxSubjects = 1_000) {
  const clock = manualClock(Date.UTC(2030, 0, 1));
  return { clock, limiter: new LocalLimiter({ limit, windowMs: WINDOW_MS, maxSubjects, clock }) };
}

describe("a local limiter", () => {
  test("allows the limit and no more, says what is left, and allows it again after the window", async () => {
    const { clock, limiter } = openLimiter(2);
    expect(await limiter.consume("a")).toEqual({ allowed: true, remaining: 1, resetMs: WINDOW_MS });
    clock.advance(1_000);
    expect(await limiter.consume("a")).toEqual({ allowed: true, remaining: 0, resetMs: WINDOW_MS - 1_000 });
    expect(await limiter.consume("a")).toEqual({ allowed: false, remaining: 0, resetMs: WINDOW_MS - 1_000 });
    clock.advance(WINDOW_MS - 1_001);
    expect((await limiter.consume("a")).allowed).toBe(false);
    clock.advance(1);
    expect(await limiter.consume("a")).toEqual({ allowed: true, remaining: 1, resetMs: WINDOW_MS });
  });

  test("whatever comes when: in no window of a subject more than the limit is allowed, and never fewer than asked for below it", async () => {
    const steps = fc.array(
      fc.record({ subject: fc.constantFrom("a", "b", "c"), afterMs: fc.integer({ min: 0, max: 40_000 }) }),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 5 }), async (steps, limit) => {
        const { clock, limiter } = openLimiter(limit);
        const windows = new Map<string, { endsAtMs: number; used: number }>();
        for (const { subject, afterMs } of steps) {
          clock.advance(afterMs);
          const known = windows.get(subject);
          const window =
            known !== undefined && known.endsAtMs > clock()
              ? known
              : { endsAtMs: clock() + WINDOW_MS, used: 0 };
          window.used++;
          windows.set(subject, window);
          expect(await limiter.consume(subject)).toEqual({
            allowed: window.used <= limit,
            remaining: Math.max(0, limit - window.used),
            resetMs: window.endsAtMs - clock(),
          });
        }
      }),
    );
  });

  test("a flood of new subjects takes bounded memory, and one that goes on knocking stays limited", async () => {
    const { limiter } = openLimiter(1, 100);
    await limiter.consume("scanner");
    for (let number = 0; number < 10_000; number++) {
      await limiter.consume(`stranger ${number}`);
      if (number % 20 === 0) expect((await limiter.consume("scanner")).allowed).toBe(false);
    }
    expect(limiter.size).toBeLessThanOrEqual(100);
  });

  test("a clock that is set back does not keep a subject out for longer than a window", async () => {
    const { clock, limiter } = openLimiter(1);
    await limiter.consume("a");
    clock.advance(-24 * 3_600_000);
    expect(await limiter.consume("a")).toEqual({ allowed: true, remaining: 0, resetMs: WINDOW_MS });
  });
});
