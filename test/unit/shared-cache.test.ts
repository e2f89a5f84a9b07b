// The cache that processes share: who asks the store, what is believed, and what happens without it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Route } from "../../src/links/link.ts";
import { errorOf } from "../helpers/error-of.ts";
import { SharedStage, TTL_MS, UNKNOWN_TTL_MS } from "../helpers/shared-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

let stage: SharedStage;

beforeEach(() => {
  stage = new SharedStage();
});
afterEach(() => stage.close());

describe("who asks the store", () => {
  test("the first process does, and the others have its copy, with its age", async () => {
    stage.set("a", "one");
    const [first, second] = [stage.process(), stage.process()];
    expect(await first.cache.find("a", 0)).toMatchObject({ route: { target: "one" }, ageMs: 0 });
    stage.clock.advance(500);
    expect(await second.cache.find("a", 0)).toMatchObject({ route: { target: "one" }, ageMs: 500 });
    expect([first.asked, second.asked]).toEqual([["a"], []]);
    expect([first.results, second.results]).toEqual([["miss"], ["hit"]]);
  });

  test("of twenty processes that miss a code at once one does, and all get its answer", async () => {
    stage.set("hot", "one");
    const looking = Promise.withResolvers<void>();
    const source = { find: async (code: string) => (await looking.promise, stage.routes.get(code)) };
    const processes = Array.from({ length: 20 }, () => stage.process({ source }));
    const finds = processes.flatMap(({ cache }) => [cache.find("hot", 0), cache.find("hot", 0)]);
    await waitFor("one to ask", () => processes.some(({ asked }) => asked.length > 0));
    looking.resolve();
    for (const found of await Promise.all(finds)) expect(found.route?.target).toBe("one");
    expect(processes.flatMap(({ asked }) => asked)).toEqual(["hot"]);
  });

  test("nobody waits for it longer than the lease", async () => {
    stage.set("hot", "one");
    const stuck = stage.process({ source: { find: () => new Promise(() => undefined) } });
    const other = stage.process();
    void stuck.cache.find("hot", 0);
    await waitFor("it to ask", () => stuck.asked.length > 0);
    const finding = other.cache.find("hot", 0);
    await Bun.sleep(10);
    expect(other.asked).toEqual([]);
    stage.clock.advance(50);
    expect((await finding).route?.target).toBe("one");
  });

  test("an unknown code is asked for once in two seconds by all together, and found at once when it is made", async () => {
    const processes = [stage.process(), stage.process()];
    for (const { cache } of processes) expect((await cache.find("none", 0)).route).toBeUndefined();
    expect(processes.flatMap(({ asked }) => asked)).toEqual(["none"]);
    stage.clock.advance(UNKNOWN_TTL_MS);
    for (const { cache } of processes) expect((await cache.find("none", 0)).route).toBeUndefined();
    expect(processes.flatMap(({ asked }) => asked)).toEqual(["none", "none"]);
    const { version } = stage.set("none", "made");
    for (const { cache } of processes) cache.changed("none", version);
    for (const { cache } of processes) expect((await cache.find("none", 0)).route?.target).toBe("made");
  });

  test("a failed lookup fails its caller and nobody else", async () => {
    stage.set("a", "one");
    const failing = stage.process({
      source: { find: () => Promise.reject(new Error("not now")) },
      leaseMs: 1,
    });
    expect((await errorOf(failing.cache.find("a", 0))).message).toBe("not now");
    stage.clock.advance(2);
    expect((await stage.process().cache.find("a", 0)).route?.target).toBe("one");
  });
});

describe("what is believed", () => {
  test("no copy older than what the asker has seen", async () => {
    const old = stage.set("a", "old");
    const process = stage.process();
    await process.cache.find("a", 0);
    stage.set("a", "new");
    expect((await process.cache.find("a", old.version + 1)).route?.target).toBe("new");
    expect(process.results).toEqual(["miss", "refused"]);
  });

  test("a late writer cannot put an old target back", async () => {
    stage.set("a", "old");
    const reading = Promise.withResolvers<Route | undefined>();
    const slow = stage.process({ source: { find: () => reading.promise } });
    const quick = stage.process();
    const late = slow.cache.find("a", 0);
    await waitFor("the slow one to read", () => slow.asked.length > 0);
    const old = stage.routes.get("a");
    const { version } = stage.set("a", "new");
    quick.cache.changed("a", version);
    expect((await quick.cache.find("a", 0)).route?.target).toBe("new");
    reading.resolve(old);
    expect((await late).route?.target).toBe("old");
    // Nor in a process that heard nothing.
    expect((await stage.process().cache.find("a", 0)).route?.target).toBe("new");
    expect((await slow.cache.find("a", 0)).route?.target).toBe("new");
  });

  test("a process reads its own write, before anybody has heard of it", async () => {
    stage.set("a", "old");
    const process = stage.process();
    await process.cache.find("a", 0);
    stage.set("a", "new");
    process.cache.changed("a");
    expect((await process.cache.find("a", 0)).route?.target).toBe("new");
  });

  test("copies live from the lookup on, whoever keeps them, and hits do not renew them", async () => {
    stage.set("a", "old");
    const [first, second] = [stage.process(), stage.process()];
    await first.cache.find("a", 0);
    stage.set("a", "new");
    for (let passedMs = 0; passedMs < TTL_MS; passedMs += 5_000) {
      expect(await second.cache.find("a", 0)).toMatchObject({ route: { target: "old" }, ageMs: passedMs });
      stage.clock.advance(5_000);
    }
    expect((await second.cache.find("a", 0)).route?.target).toBe("new");
  });

  test("the time that a lookup takes is a part of the copy's age", async () => {
    stage.set("a", "one");
    const source = {
      find: async (code: string) => {
        stage.clock.advance(700);
        return stage.routes.get(code);
      },
    };
    expect((await stage.process({ source }).cache.find("a", 0)).ageMs).toBe(700);
    expect((await stage.process().cache.find("a", 0)).ageMs).toBe(700);
  });

  test("a store of copies that comes back with old ones is not believed", async () => {
    stage.set("a", "old");
    const process = stage.process();
    await process.cache.find("a", 0);
    const restore = stage.memory.snapshot();
    stage.clock.advance(10);
    stage.set("a", "new");
    process.cache.changed("a", stage.routes.get("a")?.version);
    expect((await process.cache.find("a", 0)).route?.target).toBe("new");
    restore();
    expect((await process.cache.find("a", 0)).route?.target).toBe("new");
    // Also where it heard nothing, but was told that the store was away.
    restore();
    const deaf = stage.process();
    stage.copiesAre = "refusing";
    expect((await deaf.cache.find("a", 0)).route?.target).toBe("new");
    stage.copiesAre = "well";
    await waitFor("the breaker to close", () => !deaf.breaker.isOpen);
    stage.clock.advance(10);
    expect((await deaf.cache.find("a", 0)).route?.target).toBe("new");
    expect(deaf.results).toEqual(["bypassed", "refused"]);
  });

  test("after a gap no copy from before is believed", async () => {
    stage.set("a", "old");
    const process = stage.process();
    await process.cache.find("a", 0);
    stage.clock.advance(10);
    stage.set("a", "new");
    process.cache.distrust();
    stage.clock.advance(10);
    expect((await process.cache.find("a", 0)).route?.target).toBe("new");
  });

  test("whatever the interleaving, a process that heard of a change never gets an older route for a later question", () => {
    const step = fc.record({
      kind: fc.constantFrom("ask", "ask", "find", "change", "hear", "land", "pass", "restart", "save"),
      process: fc.nat({ max: 1 }),
      value: fc.nat({ max: 1 }),
    });
    return fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: "max" }), async (steps) => {
        const own = new SharedStage();
        const waiting: (() => void)[] = [];
        // Reads the store the moment it is asked and answers late: the worst that a database can do.
        const source = {
          find: (code: string) => {
            const read = own.routes.get(code);
            return new Promise<Route | undefined>((resolve) => waiting.push(() => resolve(read)));
          },
        };
        const processes = Array.from({ length: 2 }, () => ({
          ...own.process({ source, leaseMs: 2 }),
          seen: 0,
          unheard: [] as number[],
        }));
        own.set("a", "v1");
        let restore = own.memory.snapshot();
        const finds: Promise<void>[] = [];
        for (const { kind, process: index, value } of steps) {
          const process = processes[index];
          if (process === undefined) continue;
          if (kind === "find" || kind === "ask") {
            const atLeast = process.seen;
            const judge = async () => {
              const { route } = await process.cache.find("a", 0);
              expect(route?.version).toBeGreaterThanOrEqual(atLeast);
              process.seen = Math.max(process.seen, route?.version ?? 0);
            };
            finds.push(judge());
          }
          if (kind === "change") {
            const { version } = own.set("a", "changed");
            for (const each of processes) each.unheard.push(version);
          }
          if (kind === "hear") {
            const version = process.unheard.shift();
            if (version !== undefined) {
              process.cache.changed("a", version);
              process.seen = Math.max(process.seen, version);
            }
          }
          for (let turn = 0; turn < 20; turn++) await Promise.resolve();
          if (kind === "ask") for (const land of waiting.splice(0)) land();
          if (kind === "land") waiting.splice(value, 1)[0]?.();
          if (kind === "save") restore = own.memory.snapshot();
          if (kind === "restart") {
            restore();
            for (const each of processes) each.cache.distrust();
          }
          own.clock.advance(kind === "pass" ? 20_000 : 1);
          for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        }
        const all = Promise.all(finds);
        while (Bun.peek.status(all) === "pending") {
          for (const land of waiting.splice(0)) land();
          own.clock.advance(1);
          await Bun.sleep(0);
        }
        await all;
        await own.close();
      }),
      { numRuns: 300 },
    );
  });
});

describe("without the copies", () => {
  test.each(["silent", "refusing"] as const)(
    "%s: one waits, all others ask the store at once",
    async (state) => {
      stage.set("a", "one");
      const process = stage.process();
      stage.copiesAre = state;
      expect((await process.cache.find("a", 0)).route?.target).toBe("one");
      expect(process.breaker.isOpen).toBe(true);
      for (let times = 0; times < 50; times++) await process.cache.find("a", 0);
      expect(process.results.every((result) => result === "bypassed")).toBe(true);
      expect(process.asked).toHaveLength(51);
      stage.copiesAre = "well";
    },
  );

  test("those who wait while it falls silent are answered after one timeout", async () => {
    stage.set("a", "one");
    const process = stage.process();
    stage.copiesAre = "silent";
    const startedAtMs = performance.now();
    const finds = Array.from({ length: 500 }, (_, index) => process.cache.find(index % 2 ? "a" : "b", 0));
    await Promise.all(finds);
    // 20 ms are the timeout; ten times that would be one each for ten batches.
    expect(performance.now() - startedAtMs).toBeLessThan(200);
    stage.copiesAre = "well";
  });

  test("it is used again by itself", async () => {
    stage.set("a", "one");
    const process = stage.process();
    stage.copiesAre = "refusing";
    await process.cache.find("a", 0);
    stage.copiesAre = "well";
    await waitFor("the breaker to close", () => !process.breaker.isOpen);
    stage.clock.advance(1);
    await process.cache.find("a", 0);
    stage.clock.advance(1);
    await process.cache.find("a", 0);
    expect(process.results).toEqual(["bypassed", "miss", "hit"]);
  });
});
