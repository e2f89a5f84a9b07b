// What every Rollup promises of totals: exactly once, however many add to them.
import { beforeEach, describe, expect, test } from "bun:test";
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { newLink, type OpenStores, type Stores } from "./stores.ts";

export function describeRollup(name: string, open: OpenStores): void {
  describe(`totals in ${name}`, () => {
    let stores: Stores;
    let linkId = 0;
    let seq = 0;
    const producer = aProducer();
    beforeEach(async () => {
      stores = await open();
      seq = 0;
      linkId = (await stores.links.insert([newLink("counted")]))[0]?.id ?? 0;
    });

    const store = (size: number): Promise<number> =>
      stores.clicks.storeBatches([
        { producer, seq: ++seq, clicks: Array.from({ length: size }, () => aClick({ linkId })) },
      ]);

    const totals = (maxClicks: number) => stores.rollup.rollUpTotals(maxClicks, "patient");
    const dimensions = (maxClicks: number) => stores.rollup.rollUpDimensions(maxClicks, "patient");

    const total = async () => (await stores.links.find("counted"))?.clicks;

    test("stored clicks are on their way until they are rolled up, and the ledger balances all the time", async () => {
      await store(3);
      const before = await stores.reader.ledgerFacts();
      expect(before).toMatchObject({ batchClicks: 3, storedClicks: 3, totalledClicks: 0, queuedClicks: 3 });
      expect([judgeLedger(before).verdict, await total()]).toEqual(["balanced", 0]);
      expect(await totals(100)).toBe(3);
      const after = await stores.reader.ledgerFacts();
      expect(after).toMatchObject({ batchClicks: 3, totalledClicks: 3, queuedClicks: 0, unsortedClicks: 3 });
      expect([judgeLedger(after).verdict, await total()]).toEqual(["balanced", 3]);
      expect(await dimensions(100)).toBe(3);
      const sorted = await stores.reader.ledgerFacts();
      expect(sorted).toMatchObject({ sortedClicks: 3, unsortedClicks: 0 });
      expect(judgeLedger(sorted).verdict).toBe("balanced");
    });

    test("nothing new adds nothing", async () => {
      expect(await totals(100)).toBe(0);
      await store(2);
      expect(await totals(100)).toBe(2);
      expect(await totals(100)).toBe(0);
      expect(await total()).toBe(2);
    });

    test("a round takes whole batches, the oldest first, until it has enough", async () => {
      for (const size of [2, 2, 2, 2]) await store(size);
      expect(await totals(3)).toBe(4);
      expect(await total()).toBe(4);
      expect(await totals(1)).toBe(2);
      expect(await totals(100)).toBe(2);
      expect(await total()).toBe(8);
    });

    test("a batch that is larger than a round is taken whole", async () => {
      await store(50);
      expect(await totals(1)).toBe(50);
      expect(await total()).toBe(50);
    });

    test("rounds that run at once, while batches arrive, count each click once", async () => {
      const work: Promise<unknown>[] = [];
      for (let round = 0; round < 20; round++) work.push(store(5), totals(20), dimensions(20));
      await Promise.all(work);
      while ((await totals(1_000)) > 0);
      while ((await dimensions(1_000)) > 0);
      expect(await total()).toBe(100);
      const facts = await stores.reader.ledgerFacts();
      expect([facts.sortedClicks, judgeLedger(facts).verdict]).toEqual([100, "balanced"]);
    });

    test("dimensions take whole rounds of totals, the oldest first", async () => {
      for (const size of [2, 3, 4]) {
        await store(size);
        await totals(100);
      }
      expect(await dimensions(3)).toBe(5);
      expect(await dimensions(1)).toBe(4);
      expect(await dimensions(1)).toBe(0);
    });

    test("who is in a hurry takes no more than asked for, and nothing of a set that is too large", async () => {
      await store(5);
      expect(await stores.rollup.rollUpTotals(4, "hurried")).toBe(0);
      await store(5);
      expect(await stores.rollup.rollUpTotals(9, "hurried")).toBe(5);
      expect(await stores.rollup.rollUpDimensions(4, "hurried")).toBe(0);
      expect(await stores.rollup.rollUpDimensions(5, "hurried")).toBe(5);
    });
  });
}
