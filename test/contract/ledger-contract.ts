// What every ClickStore tells the ledger of its producers.
import { beforeEach, describe, expect, test } from "bun:test";
import type { Producer } from "../../src/clicks/click.ts";
import { judgeLedger } from "../../src/clicks/ledger.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import type { OpenStores, Stores } from "./stores.ts";

export function describeLedger(name: string, open: OpenStores): void {
  describe(`the ledger in ${name}`, () => {
    let stores: Stores;
    let producer = aProducer();
    beforeEach(async () => {
      stores = await open();
      producer = aProducer();
    });

    function store(seq: number, clicks: readonly object[], by: Producer = producer): Promise<number> {
      return stores.clicks.storeBatches([{ producer: by, seq, clicks: clicks.map(() => aClick()) }]);
    }

    async function factsOf({ id }: Producer) {
      const { producers } = await stores.reader.ledgerFacts();
      return producers.find((facts) => facts.id === id);
    }

    test("a producer is known by its first batch and open until it says goodbye", async () => {
      await store(1, [{}]);
      const opened = { id: producer.id, recorder: "batch", ack: "durable", maxSeq: 1, batches: 1, clicks: 1 };
      expect(await factsOf(producer)).toEqual({
        ...opened,
        ended: false,
        lastSeq: null,
        dropped: {},
        missing: [],
      });
      await stores.clicks.closeProducer(producer, 1, { queue_full: 7 });
      expect(await factsOf(producer)).toEqual({
        ...opened,
        ended: true,
        lastSeq: 1,
        dropped: { queue_full: 7 },
        missing: [],
      });
    });

    test("a producer that only dropped clicks says so when it ends", async () => {
      await stores.clicks.closeProducer(producer, 0, { queue_full: 3 });
      expect(await factsOf(producer)).toMatchObject({ ended: true, batches: 0, dropped: { queue_full: 3 } });
    });

    test("missing numbers are named, before and after the last one stored", async () => {
      await store(1, [{}]);
      await store(3, [{}, {}]);
      expect(await factsOf(producer)).toMatchObject({ maxSeq: 3, batches: 2, clicks: 3, missing: [2] });
      await stores.clicks.closeProducer(producer, 5, {});
      expect(await factsOf(producer)).toMatchObject({ lastSeq: 5, missing: [2, 4, 5] });
      expect(judgeLedger(await stores.reader.ledgerFacts()).verdict).toBe("unbalanced");
    });

    test("of very many missing numbers the first ten are named", async () => {
      await store(1_000, [{}]);
      expect((await factsOf(producer))?.missing).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    });

    test("of batches that are under way those that have landed are told", async () => {
      await store(1, [{}]);
      const [landed, away] = [1, 2].map((seq) => ({ producer: producer.id, seq }));
      if (landed === undefined || away === undefined) throw new Error("there are two");
      const foreign = { producer: "nobody", seq: 1.5 };
      const facts = await stores.reader.ledgerFacts([away, landed, { ...landed, seq: 3 }, foreign]);
      expect([...(facts.landed ?? [])]).toEqual([landed]);
      expect((await stores.reader.ledgerFacts([])).landed).toEqual([]);
    });

    test("producers do not fill each other's gaps", async () => {
      const other = aProducer({ ack: "async" });
      await store(2, [{}]);
      await store(1, [{}], other);
      expect((await factsOf(producer))?.missing).toEqual([1]);
      expect(await factsOf(other)).toMatchObject({ ack: "async", missing: [], maxSeq: 1 });
    });
  });
}
