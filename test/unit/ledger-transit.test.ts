// What the click ledger says of batches that are between a producer and Postgres.
import { describe, expect, test } from "bun:test";
import { judgeLedger, type ProducerFacts } from "../../src/clicks/ledger.ts";
import type { BatchName, Transit, TransitBatch } from "../../src/clicks/transit.ts";

/** A producer that ended with batch 4 and of which the store lacks some. */
function judge(
  missing: readonly number[],
  moving: readonly Partial<TransitBatch>[],
  rest: Partial<Transit> = {},
  landed: readonly BatchName[] = [],
) {
  const producer: ProducerFacts = {
    id: "p1",
    recorder: "stream",
    ack: "durable",
    ended: true,
    lastSeq: 40,
    maxSeq: 40,
    batches: 40 - missing.length,
    clicks: 40 - missing.length,
    dropped: {},
    missing: missing.slice(0, 10),
  };
  const counts = {
    batchClicks: producer.clicks,
    storedClicks: producer.clicks,
    queuedClicks: 0,
    retiredClicks: 0,
    totalledClicks: producer.clicks,
    sortedClicks: producer.clicks,
    unsortedClicks: 0,
  };
  const batches = moving.map((batch) => ({
    producer: "p1",
    seq: 1,
    clicks: 5,
    state: "waiting" as const,
    ...batch,
  }));
  return judgeLedger(
    { producers: [producer], ...counts, landed },
    { batches, complete: true, readers: [], ...rest },
  );
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe("a missing number", () => {
  test("that is in the stream is no loss", () => {
    expect(judge([2, 3], [{ seq: 2 }, { seq: 3 }, { seq: 41 }])).toMatchObject({
      verdict: "balanced",
      waitingClicks: 15,
    });
  });

  test("that is neither stored nor in the stream is a loss, and is named", () => {
    const { verdict, reasons } = judge([2, 3], [{ seq: 3 }]);
    expect(verdict).toBe("unbalanced");
    expect(reasons).toEqual(["producer p1 lacks 1 of 40 batches (numbers 2)"]);
  });

  test("is not explained by the batch of another producer", () => {
    expect(judge([2], [{ seq: 2, producer: "p2" }]).verdict).toBe("unbalanced");
  });

  test("is in doubt while not all of the stream was read", () => {
    expect(judge([2], [], { complete: false }).verdict).toBe("undecided");
  });

  test("that was put aside is in doubt, until an operator decides", () => {
    const report = judge([2], [{ seq: 2, state: "dead" }]);
    expect(report).toMatchObject({ verdict: "undecided", deadClicks: 5, waitingClicks: 0 });
    expect(report.reasons).toEqual([
      "5 clicks could not be stored and were put aside; see hop dead list, and *.bad files in HOP_DATA_DIR/spool",
    ]);
  });
});

describe("more missing numbers than are named", () => {
  test("are no loss when all of them are under way", () => {
    const moving = upTo(15).map((seq) => ({ seq }));
    expect(judge(upTo(15), moving)).toMatchObject({ verdict: "balanced", waitingBatches: 15 });
  });

  test("are a loss when fewer are under way", () => {
    const moving = upTo(14).map((seq) => ({ seq }));
    const { verdict, reasons } = judge(upTo(15), moving);
    expect([verdict, reasons]).toEqual(["unbalanced", ["producer p1 lacks 1 of 40 batches"]]);
  });

  test("are not explained by batches that have landed", () => {
    const moving = [...upTo(14), 30].map((seq) => ({ seq }));
    const report = judge(upTo(15), moving, {}, [{ producer: "p1", seq: 30 }]);
    expect(report).toMatchObject({ verdict: "unbalanced", waitingBatches: 14 });
  });
});

describe("a batch", () => {
  test("that is in the stream twice counts once", () => {
    expect(judge([2], [{ seq: 2 }, { seq: 2 }]).waitingClicks).toBe(5);
  });

  test("that is in the spool is no loss, whoever put it there", () => {
    expect(judge([2, 3], [{ seq: 2 }, { seq: 3 }, { seq: 41 }].map(inSpool))).toMatchObject({
      verdict: "balanced",
      reasons: [],
      spooledBatches: 3,
      spooledClicks: 15,
      waitingClicks: 0,
      servedClicks: 53,
    });
  });

  test("that left the spool for the stream, and is in both for a moment, counts where it got", () => {
    expect(judge([2], [inSpool({ seq: 2 }), { seq: 2 }])).toMatchObject({
      verdict: "balanced",
      spooledBatches: 0,
      waitingBatches: 1,
    });
  });

  test("that is stored counts nowhere else, though its file or its entry is still there", () => {
    const landed = [{ producer: "p1", seq: 3 }];
    expect(judge([2], [inSpool({ seq: 2 }), inSpool({ seq: 3 }), { seq: 3 }], {}, landed)).toMatchObject({
      verdict: "balanced",
      spooledBatches: 1,
      waitingBatches: 0,
      servedClicks: 44,
    });
  });
});

function inSpool(batch: Partial<TransitBatch>): Partial<TransitBatch> {
  return { ...batch, state: "spooled" };
}
