// What every ClickStore promises, seen through its ClickReader.
import { beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { DIMENSIONS, type StatsFacts, type StatsQuery } from "../../src/clicks/stats.ts";
import type { Producer } from "../../src/clicks/click.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { newLink, ODD_TEXTS, type OpenStores, type Stores } from "./stores.ts";

const DAY = Date.parse("2030-01-31T00:00:00Z");
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const EVERYTHING = 1_000_000;
const QUERY: StatsQuery = {
  fromMs: DAY - 1_000 * HOUR_MS,
  toMs: DAY + 1_000 * HOUR_MS,
  interval: "hour",
  by: "referrer",
  bots: "include",
  topLimit: 20,
};

export function describeClickStore(name: string, open: OpenStores): void {
  describe(`clicks in ${name}`, () => {
    let stores: Stores;
    let producer = aProducer();
    beforeEach(async () => {
      stores = await open();
      producer = aProducer();
    });

    function store(
      seq: number,
      clicks: readonly Parameters<typeof aClick>[0][],
      by: Producer = producer,
    ): Promise<number> {
      return stores.clicks.storeBatches([
        { producer: by, seq, clicks: clicks.map((click) => aClick({ atMs: DAY, ...click })) },
      ]);
    }

    async function rollUp(): Promise<void> {
      await stores.rollup.rollUpTotals(EVERYTHING, "patient");
      await stores.rollup.rollUpDimensions(EVERYTHING, "patient");
    }

    async function stats(linkId: number, query: Partial<StatsQuery> = {}) {
      await rollUp();
      return stores.reader.statsFacts(linkId, { ...QUERY, ...query });
    }

    async function ledger() {
      await rollUp();
      return stores.reader.ledgerFacts();
    }

    test("an empty ledger balances", async () => {
      const facts = await ledger();
      expect(facts).toMatchObject({ batchClicks: 0, storedClicks: 0, totalledClicks: 0 });
      expect(judgeLedger(facts).verdict).toBe("balanced");
    });

    test("a batch stored any number of times counts once", async () => {
      for (let repeat = 0; repeat < 4; repeat++)
        await store(1, [{ linkId: 1 }, { linkId: 1 }, { linkId: 2 }]);
      const facts = await ledger();
      expect(facts).toMatchObject({ batchClicks: 3, storedClicks: 3, totalledClicks: 3 });
      expect((await stats(1)).buckets).toEqual([{ startMs: DAY, clicks: 2, unique: 1 }]);
    });

    test("a batch stored many times at once counts once", async () => {
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => store(1 + (index % 2), [{ linkId: 1 }, { linkId: 2 }])),
      );
      const facts = await ledger();
      expect(facts).toMatchObject({ batchClicks: 4, storedClicks: 4, totalledClicks: 4 });
      expect(judgeLedger(facts).verdict).toBe("balanced");
    });

    test("batches of many producers with the same links, in opposite orders, all count", async () => {
      const producers = Array.from({ length: 8 }, () => aProducer());
      const linkIds = Array.from({ length: 50 }, (_, index) => index + 1);
      await Promise.all(
        producers.flatMap((by, index) =>
          [1, 2, 3].map((seq) => {
            const ids = index % 2 === 0 ? linkIds : linkIds.toReversed();
            return store(
              seq,
              ids.map((linkId) => ({ linkId })),
              by,
            );
          }),
        ),
      );
      const facts = await ledger();
      expect(facts).toMatchObject({ batchClicks: 1_200, storedClicks: 1_200, totalledClicks: 1_200 });
      expect((await stats(50)).buckets).toEqual([{ startMs: DAY, clicks: 24, unique: 1 }]);
    });

    test("what a batch held the first time is what counts", async () => {
      await store(1, [{ linkId: 1 }]);
      await store(1, [{ linkId: 2 }, { linkId: 2 }]);
      expect((await stats(2)).buckets).toEqual([]);
      expect((await ledger()).batchClicks).toBe(1);
    });

    test("every dimension keeps any text", async () => {
      for (const [index, by] of DIMENSIONS.entries()) {
        await store(
          index + 1,
          ODD_TEXTS.map((text) => ({ linkId: index + 1, [by]: text })),
        );
        const { top } = await stats(index + 1, { by, topLimit: 100 });
        expect(top.map(({ value }) => value).toSorted()).toEqual(ODD_TEXTS.toSorted());
      }
    });

    test("an empty text is a value of its own", async () => {
      await store(1, [
        { linkId: 1, referrer: "" },
        { linkId: 1, referrer: "NULL" },
        { linkId: 1, referrer: "" },
      ]);
      expect((await stats(1)).top).toEqual([
        { value: "", clicks: 2 },
        { value: "NULL", clicks: 1 },
      ]);
    });

    test("any batch arrives intact", async () => {
      // What Postgres keeps and a header can hold: no NUL, no half of a surrogate pair.
      const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
      const click = fc.record({
        referrer: text,
        visitor: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        atMs: fc.integer({ min: QUERY.fromMs, max: QUERY.toMs - 1 }),
        bot: fc.boolean(),
      });
      let seq = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(click, { minLength: 1, maxLength: 12 }), async (clicks) => {
          const linkId = ++seq;
          await store(
            seq,
            clicks.map((each) => ({ ...each, linkId })),
          );
          const all = await stats(linkId);
          expect(new Map(all.top.map(({ value, clicks }) => [value, clicks]))).toEqual(
            count(clicks.map((each) => each.referrer)),
          );
          expect(all.unique).toBe(
            new Set(clicks.map(({ atMs, visitor }) => `${Math.floor(atMs / DAY_MS)} ${visitor}`)).size,
          );
          expect(new Map(all.buckets.map((bucket) => [bucket.startMs, bucket.clicks]))).toEqual(
            count(clicks.map(({ atMs }) => atMs - (atMs % HOUR_MS))),
          );
          const { buckets: bots } = await stats(linkId, { bots: "only" });
          expect(bots.reduce((sum, bucket) => sum + bucket.clicks, 0)).toBe(
            clicks.filter((each) => each.bot).length,
          );
        }),
        { numRuns: 40 },
      );
    });

    test("a click belongs to the hour, day and month that it happened in, to the millisecond", async () => {
      await store(1, [
        { linkId: 1, atMs: DAY - 1 },
        { linkId: 1, atMs: DAY },
        { linkId: 1, atMs: DAY + HOUR_MS - 1 },
        { linkId: 1, atMs: DAY + 24 * HOUR_MS },
      ]);
      const starts = async (interval: StatsQuery["interval"]) =>
        (await stats(1, { interval })).buckets.map((b) => [new Date(b.startMs).toISOString(), b.clicks]);
      expect(await starts("hour")).toEqual([
        ["2030-01-30T23:00:00.000Z", 1],
        ["2030-01-31T00:00:00.000Z", 2],
        ["2030-02-01T00:00:00.000Z", 1],
      ]);
      expect(await starts("day")).toEqual([
        ["2030-01-30T00:00:00.000Z", 1],
        ["2030-01-31T00:00:00.000Z", 2],
        ["2030-02-01T00:00:00.000Z", 1],
      ]);
      expect(await starts("month")).toEqual([
        ["2030-01-01T00:00:00.000Z", 3],
        ["2030-02-01T00:00:00.000Z", 1],
      ]);
      const within = { fromMs: DAY, toMs: DAY + HOUR_MS };
      expect((await stats(1, within)).buckets).toEqual([{ startMs: DAY, clicks: 2, unique: 1 }]);
    });

    test("bots are counted, left out or counted alone, in totals, visitors and values alike", async () => {
      await store(1, [
        { linkId: 1, visitor: 1n, referrer: "a" },
        { linkId: 1, visitor: 2n, referrer: "a", bot: true },
        { linkId: 1, visitor: 2n, referrer: "b", bot: true },
      ]);
      expect(seenIn(await stats(1, { bots: "include" }))).toEqual([3, 2, 2, ["a", "b"]]);
      expect(seenIn(await stats(1, { bots: "exclude" }))).toEqual([1, 1, 1, ["a"]]);
      expect(seenIn(await stats(1, { bots: "only" }))).toEqual([2, 1, 1, ["a", "b"]]);
    });

    test("top values are the most frequent ones, and no more than asked for", async () => {
      await store(
        1,
        ["b", "b", "c", "a", "a", "a"].map((referrer) => ({ linkId: 1, referrer })),
      );
      expect((await stats(1, { topLimit: 2 })).top).toEqual([
        { value: "a", clicks: 3 },
        { value: "b", clicks: 2 },
      ]);
    });

    test("a link without clicks has no buckets, no visitors and no values", async () => {
      await store(1, [{ linkId: 1 }]);
      expect(await stats(2)).toMatchObject({ buckets: [], unique: 0, top: [] });
    });

    test("a link shows its clicks, bots included", async () => {
      const [link] = await stores.links.insert([newLink("clicked")]);
      const linkId = link?.id ?? 0;
      await store(1, [{ linkId }, { linkId, bot: true }, { linkId, atMs: DAY + HOUR_MS }]);
      await rollUp();
      expect((await stores.links.find("clicked"))?.clicks).toBe(3);
      expect((await stores.links.update("clicked", {}))?.clicks).toBe(3);
    });

    test("many batches of many producers are stored together, each once", async () => {
      const batches = [aProducer(), aProducer({ recorder: "stream" })].flatMap((by) =>
        [1, 2, 3].map((seq) => ({
          producer: by,
          seq,
          clicks: [aClick({ atMs: DAY }), aClick({ atMs: DAY, referrer: `r${seq}` })],
        })),
      );
      expect(await stores.clicks.storeBatches(batches.slice(0, 2))).toBe(4);
      expect(await stores.clicks.storeBatches([...batches, ...batches])).toBe(8);
      expect(await stores.clicks.storeBatches(batches)).toBe(0);
      expect(await ledger()).toMatchObject({
        batchClicks: 12,
        storedClicks: 12,
        totalledClicks: 12,
        sortedClicks: 12,
      });
      expect((await stats(1)).top.map(({ clicks }) => clicks)).toEqual([6, 2, 2, 2]);
    });

    test("a visitor counts once a day, in the hour of the first click", async () => {
      await store(1, [
        { linkId: 1, visitor: 1n, atMs: DAY + HOUR_MS },
        { linkId: 1, visitor: 1n, atMs: DAY },
        { linkId: 1, visitor: 2n, atMs: DAY + HOUR_MS },
        { linkId: 1, visitor: 1n, atMs: DAY + DAY_MS },
        { linkId: 2, visitor: 1n, atMs: DAY },
      ]);
      await rollUp();
      await store(2, [{ linkId: 1, visitor: 1n, atMs: DAY + 2 * HOUR_MS }]);
      const { buckets, unique } = await stats(1);
      expect(unique).toBe(3);
      expect(buckets.map((bucket) => [bucket.clicks, bucket.unique])).toEqual([
        [1, 1],
        [2, 1],
        [1, 0],
        [1, 1],
      ]);
    });
  });
}

function count<T>(values: readonly T[]): Map<T, number> {
  return new Map([...Map.groupBy(values, (value) => value)].map(([value, all]) => [value, all.length]));
}

function seenIn({ buckets, unique, top }: StatsFacts) {
  return [buckets[0]?.clicks, buckets[0]?.unique, unique, top.map(({ value }) => value)];
}
