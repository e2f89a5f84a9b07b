// What every RouteCopies promises.
import { beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Route } from "../../src/links/link.ts";
import type { Recalled, RouteCopies, RouteCopy } from "../../src/links/ports.ts";
import { aRoute } from "../helpers/cache-stage.ts";
import { ODD_TEXTS } from "./stores.ts";

const LEASE_MS = 60_000;
const LIFE_MS = 60_000;

/** Empty copies, and a way to let time pass for them. */
export interface CopiesStage {
  readonly copies: RouteCopies;
  pass(ms: number): Promise<void>;
}

const version = (number: number) => aRoute(`v${number}`, 1, number);

export function describeRouteCopies(name: string, open: () => Promise<CopiesStage>): void {
  describe(`copies of routes in ${name}`, () => {
    let copies: RouteCopies;
    let stage: CopiesStage;
    beforeEach(async () => {
      stage = await open();
      ({ copies } = stage);
    });
    const pass = (ms: number) => stage.pass(ms);

    async function recall(code: string, leaseMs = LEASE_MS): Promise<Recalled> {
      const [recalled] = await copies.recall([code], leaseMs);
      if (recalled === undefined) throw new Error("no answer");
      return recalled;
    }
    /** Asks, as everybody does before a lookup, and keeps what the lookup says. */
    async function fill(code: string, route: Route | undefined, rest: Partial<RouteCopy> = {}) {
      const { version, asOfMs } = await recall(code);
      const copy = { code, route, version: route?.version ?? version, bornMs: asOfMs, lifeMs: LIFE_MS };
      return (await copies.keep([{ ...copy, ...rest }]))[0];
    }
    const fence = async (code: string, version: number) =>
      (await copies.keep([{ code, version, lifeMs: LIFE_MS }]))[0];
    const targetOf = async (code: string) => {
      const recalled = await recall(code);
      return recalled.kind === "copy" ? (recalled.route?.target ?? "none") : recalled.kind;
    };
    test("a route comes back as it was kept, with its age", async () => {
      for (const route of [
        { ...aRoute("https://example.com/a b", 7, 3), deleted: true, expiresAtMs: -1.5 },
        { ...aRoute("", 7, 3), status: 308 as const, expiresAtMs: Date.parse("2031-02-03T04:05:06.789Z") },
        ...ODD_TEXTS.map((text) => aRoute(`x${text}`)),
      ].filter(({ target }) => target !== "")) {
        const code = `whole-${route.target}`;
        expect(await fill(code, route)).toBe(true);
        expect(await recall(code)).toMatchObject({ kind: "copy", route, version: route.version });
      }
      const aged = await recall("whole-x日本語");
      expect(aged.kind === "copy" && aged.ageMs).toBeLessThan(10_000);
    });

    test("that there is no link is kept too, and is not the same as nothing", async () => {
      expect((await recall("none")).kind).toBe("mine");
      await fill("none", undefined);
      expect(await recall("none")).toMatchObject({ kind: "copy", route: undefined, version: 0 });
    });

    test("answers come in the order of the codes", async () => {
      const codes = Array.from({ length: 50 }, (_, index) => `code${index}`);
      const { asOfMs } = await recall("code0");
      const kept = codes.filter((_, index) => index % 3 === 0);
      const answers = await copies.keep(
        kept.map((code, index) => ({
          code,
          route: aRoute(code),
          version: 1,
          bornMs: asOfMs,
          lifeMs: LIFE_MS - index,
        })),
      );
      expect(answers).toEqual(kept.map(() => true));
      const recalled = await copies.recall(codes, LEASE_MS);
      expect(recalled.map((each) => (each.kind === "copy" ? each.route?.target : undefined))).toEqual(
        codes.map((code) => (kept.includes(code) ? code : undefined)),
      );
      expect(await copies.recall([], LEASE_MS)).toEqual([]);
      expect(await copies.keep([])).toEqual([]);
    });

    test("an older version never takes the place of a newer one, and a late one of the same not of a fresh one", async () => {
      const early = await recall("a");
      await pass(20);
      expect(await fill("a", version(2))).toBe(true);
      expect(await fill("a", version(1))).toBe(false);
      expect(await fill("a", version(2), { bornMs: early.asOfMs })).toBe(false);
      expect(await targetOf("a")).toBe("v2");
      expect(await fill("a", version(3), { bornMs: early.asOfMs })).toBe(true);
      expect(await targetOf("a")).toBe("v3");
    });

    test("a fence takes older copies away and lets none of them back", async () => {
      await fill("a", version(1));
      expect(await fence("a", 2)).toBe(true);
      expect(await recall("a")).toMatchObject({ kind: "mine", version: 2 });
      expect(await fill("a", version(1))).toBe(false);
      expect((await recall("a")).kind).toBe("mine");
      expect(await fill("a", version(2))).toBe(true);
      expect(await targetOf("a")).toBe("v2");
    });

    test("a fence that comes late takes nothing away", async () => {
      await fill("a", version(2));
      for (const late of [1, 2]) expect(await fence("a", late)).toBe(false);
      expect(await targetOf("a")).toBe("v2");
    });

    test("a fence that comes before the copy holds", async () => {
      expect(await fence("a", 2)).toBe(true);
      expect(await fill("a", version(1))).toBe(false);
      expect(await targetOf("a")).toBe("mine");
    });

    test("that there is no link is not kept over a link that was made since", async () => {
      const { version: seen, asOfMs } = await recall("a");
      await fence("a", 5);
      const none = { code: "a", route: undefined, version: seen, bornMs: asOfMs, lifeMs: LIFE_MS };
      expect(await copies.keep([none])).toEqual([false]);
      await fill("a", version(5));
      expect(await copies.keep([none])).toEqual([false]);
      expect(await targetOf("a")).toBe("v5");
    });

    test("after a row was deleted its absence is kept, and the row is not let back", async () => {
      await fill("a", version(1));
      await fence("a", 2);
      expect(await fill("a", undefined)).toBe(true);
      expect(await fill("a", version(1))).toBe(false);
      expect(await targetOf("a")).toBe("none");
      await fence("a", 3);
      expect(await targetOf("a")).toBe("mine");
    });

    test("a copy's life begins before its lookup, and it is not kept when that has passed", async () => {
      const { asOfMs } = await recall("a");
      await pass(40);
      expect(await fill("a", version(1), { bornMs: asOfMs, lifeMs: 20 })).toBe(false);
      expect(await fill("a", version(1), { bornMs: asOfMs, lifeMs: LIFE_MS })).toBe(true);
      const recalled = await recall("a");
      expect(recalled.kind === "copy" && recalled.ageMs).toBeGreaterThanOrEqual(40);
      await fill("b", version(1), { lifeMs: 30 });
      await pass(60);
      expect(await targetOf("b")).toBe("mine");
    });

    test("being recalled does not lengthen a life", async () => {
      await fill("a", version(1), { lifeMs: 60 });
      for (let times = 0; times < 4; times++) {
        await recall("a");
        await pass(20);
      }
      expect(["mine", "busy"]).toContain(await targetOf("a"));
    });

    test("of many who miss a code one is asked to look it up, and the next when it took too long", async () => {
      const kinds = await Promise.all(
        Array.from({ length: 20 }, async () => (await recall("hot", 500)).kind),
      );
      expect(kinds.filter((kind) => kind === "mine")).toHaveLength(1);
      await pass(600);
      expect((await recall("hot")).kind).toBe("mine");
      expect((await recall("hot")).kind).toBe("busy");
      await fill("hot", version(1));
      expect(await targetOf("hot")).toBe("v1");
    });

    test("after a change one is asked again, even while somebody looks the old link up", async () => {
      expect((await recall("hot")).kind).toBe("mine");
      await fence("hot", 2);
      const late = version(1);
      expect((await recall("hot")).kind).toBe("mine");
      expect((await recall("hot")).kind).toBe("busy");
      expect(await fill("hot", late)).toBe(false);
    });

    test("whatever the order of writers, the newest version that was kept is what remains", async () => {
      let round = 0;
      const step = fc.record({ fence: fc.boolean(), version: fc.integer({ min: 1, max: 6 }) });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
          const code = `order${++round}`;
          let newest = 0;
          for (const { fence: isFence, version: number } of steps) {
            const kept = isFence ? await fence(code, number) : await fill(code, version(number));
            if (number < newest) expect(kept).toBe(false);
            newest = Math.max(newest, number);
            const recalled = await recall(code);
            expect(recalled.version).toBe(newest);
            if (recalled.kind === "copy") expect(recalled.route?.target).toBe(`v${newest}`);
          }
        }),
        { numRuns: 30 },
      );
    });

    test("it can be asked whether it is well", async () => {
      await copies.check();
    });
  });
}
