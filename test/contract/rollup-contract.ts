// What every Rollup promises of totals: exactly once, however many add to them.
import { beforeEach, describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { aClick } from "../helpers/clicks.ts";
import { newLink, type OpenStores, type Stores } from "./stores.ts";

export function describeRollup(name: string, open: OpenStores): void {
  describe(`totals in ${name}`, () => {
    let stores: Stores;
    let linkId = 0;
    let seq = 0;
    const producer = randomUUID();
    beforeEach(async () => {
      stores = await open();
      seq = 0;
      await stores.clicks.openProducer({ id: producer, recorder: "batch", ack: "durable" });
      linkId = (await stores.links.insert([newLink("counted")]))[0]?.id ?? 0;
    });

    const store = (size: number): Promise<void> =>
      stores.clicks.storeBatch({
        producer,
        seq: ++seq,
        clicks: Array.from({ length: size }, () => aClick({ linkId })),
      });

    const total = async () => (await stores.links.find("counted"))?.clicks;

    test("stored clicks are on their way until they are rolled up, and the ledger balances all the time", async () => {
      await store(3);
      const before = await stores.reader.ledgerFacts();
      expect(before).toMatchObject({ batchClicks: 3, storedClicks: 3, totalledClicks: 0, tailClicks: 3 });
      expect([judgeLedger(before).verdict, await total()]).toEqual(["balanced", 0]);
      expect(await stores.rollup.rollUp(100)).toBe(3);
      const after = await stores.reader.ledgerFacts();
      expect(after).toMatchObject({ batchClicks: 3, storedClicks: 3, totalledClicks: 3, tailClicks: 0 });
      expect([judgeLedger(after).verdict, await total()]).toEqual(["balanced", 3]);
    });

    test("nothing new adds nothing", async () => {
      expect(await stores.rollup.rollUp(100)).toBe(0);
      await store(2);
      expect(await stores.rollup.rollUp(100)).toBe(2);
      expect(await stores.rollup.rollUp(100)).toBe(0);
      expect(await total()).toBe(2);
    });

    test("a round takes whole batches, the oldest first, until it has enough", async () => {
      for (const size of [2, 2, 2, 2]) await store(size);
      expect(await stores.rollup.rollUp(3)).toBe(4);
      expect(await total()).toBe(4);
      expect(await stores.rollup.rollUp(1)).toBe(2);
      expect(await stores.rollup.rollUp(100)).toBe(2);
      expect(await total()).toBe(8);
    });

    test("a batch that is larger than a round is taken whole", async () => {
      await store(50);
      expect(await stores.rollup.rollUp(1)).toBe(50);
      expect(await total()).toBe(50);
    });

    test("rounds that run at once, while batches arrive, count each click once", async () => {
      const work: Promise<unknown>[] = [];
      for (let round = 0; round < 20; round++) work.push(store(5), stores.rollup.rollUp(20));
      await Promise.all(work);
      while ((await stores.rollup.rollUp(1_000)) > 0);
      expect(await total()).toBe(100);
      expect(judgeLedger(await stores.reader.ledgerFacts()).verdict).toBe("balanced");
    });
  });
}
