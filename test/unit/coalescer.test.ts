// Many small calls become few large ones, and nobody gets somebody else's answer.
import { beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Coalescer } from "../../src/lib/coalescer.ts";
import { errorOf } from "../helpers/error-of.ts";

type Call = PromiseWithResolvers<readonly string[]> & { readonly items: readonly number[] };

let calls: Call[] = [];

/** A coalescer whose calls the test answers by hand. */
function open(bounds: { maxBatch?: number; maxQueued?: number } = {}): Coalescer<number, string> {
  return new Coalescer({
    run: (items) => {
      const call = { items, ...Promise.withResolvers<readonly string[]>() };
      calls.push(call);
      return call.promise;
    },
    maxBatch: 100,
    maxQueued: 100,
    ...bounds,
  });
}

const answer = (call: Call | undefined) => call?.resolve(call.items.map((item) => `r${item}`));

async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

beforeEach(() => {
  calls = [];
});

describe("a coalescer", () => {
  test("makes one call of everything that is asked in one turn", async () => {
    const coalescer = open();
    const asked = [1, 2, 3].map((item) => coalescer.submit(item));
    await turns();
    expect(calls.map((call) => call.items)).toEqual([[1, 2, 3]]);
    answer(calls[0]);
    expect(await Promise.all(asked)).toEqual(["r1", "r2", "r3"]);
  });

  test("has one call in flight, and what comes meanwhile forms the next", async () => {
    const coalescer = open();
    const first = coalescer.submit(1);
    await turns();
    const later = [2, 3].map((item) => coalescer.submit(item));
    await turns();
    expect(calls).toHaveLength(1);
    answer(calls[0]);
    expect(await first).toBe("r1");
    await turns();
    expect(calls.map((call) => call.items)).toEqual([[1], [2, 3]]);
    answer(calls[1]);
    expect(await Promise.all(later)).toEqual(["r2", "r3"]);
  });

  test("makes no call larger than allowed", async () => {
    const coalescer = open({ maxBatch: 2 });
    const asked = [1, 2, 3, 4, 5].map((item) => coalescer.submit(item));
    for (let call = 0; call < 3; call++) {
      await turns();
      answer(calls[call]);
    }
    expect(await Promise.all(asked)).toEqual(["r1", "r2", "r3", "r4", "r5"]);
    expect(calls.map((call) => call.items)).toEqual([[1, 2], [3, 4], [5]]);
  });

  test("refuses what exceeds the queue, and serves those who wait", async () => {
    const coalescer = open({ maxQueued: 2 });
    const asked = [1, 2].map((item) => coalescer.submit(item));
    expect(await errorOf(coalescer.submit(3))).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE" });
    await turns();
    const later = coalescer.submit(4);
    answer(calls[0]);
    expect(await Promise.all(asked)).toEqual(["r1", "r2"]);
    await turns();
    answer(calls[1]);
    expect(await later).toBe("r4");
  });

  test("fails the items of a failed call and no others", async () => {
    const coalescer = open();
    const failing = [1, 2].map((item) => coalescer.submit(item));
    await turns();
    const later = coalescer.submit(3);
    calls[0]?.reject(new Error("the call failed"));
    for (const item of failing) expect((await errorOf(item)).message).toBe("the call failed");
    await turns();
    answer(calls[1]);
    expect(await later).toBe("r3");
  });

  test("fails a call that throws at once or answers too little", async () => {
    const throwing = new Coalescer<number, number>({
      run: () => {
        throw new Error("at once");
      },
      maxBatch: 9,
      maxQueued: 9,
    });
    expect((await errorOf(throwing.submit(1))).message).toBe("at once");
    const short = open();
    const asked = [1, 2].map((item) => short.submit(item));
    await turns();
    calls[0]?.resolve(["r1"]);
    for (const item of asked) expect((await errorOf(item)).message).toContain("got 1 results");
  });

  test("is idle when nothing waits and nothing is in flight", async () => {
    const coalescer = open({ maxBatch: 1 });
    await coalescer.idle();
    const asked = [1, 2].map((item) => coalescer.submit(item));
    const idle = coalescer.idle();
    await turns();
    answer(calls[0]);
    await turns();
    expect(Bun.peek.status(idle)).toBe("pending");
    answer(calls[1]);
    await idle;
    expect(asked.map((item) => Bun.peek.status(item))).toEqual(["fulfilled", "fulfilled"]);
  });

  test("gives everybody their own answer, whatever the timing", () => {
    return fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("submit", "answer", "turn"), { maxLength: 80 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, maxBatch) => {
          calls = [];
          const coalescer = open({ maxBatch });
          const asked: Promise<string>[] = [];
          let answered = 0;
          for (const step of steps) {
            if (step === "submit") asked.push(coalescer.submit(asked.length));
            if (step === "answer" && answered < calls.length) answer(calls[answered++]);
            if (step === "turn") await turns();
            expect(calls.length - answered).toBeLessThanOrEqual(1);
          }
          while (asked.some((item) => Bun.peek.status(item) === "pending")) {
            await turns();
            if (answered < calls.length) answer(calls[answered++]);
          }
          expect(await Promise.all(asked)).toEqual(asked.map((_, item) => `r${item}`));
          expect(calls.flatMap((call) => call.items)).toEqual(asked.map((_, item) => item));
        },
      ),
    );
  });
});
