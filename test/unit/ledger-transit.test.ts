// What the click ledger says of batches that are between a producer and Postgres.
import { describe, expect, test } from "bun:test";
import { judgeLedger, type ProducerFacts, type Transit, type TransitBatch } from "../../src/clicks/ledger.ts";

/** A producer that ended with batch 4 and of which the store lacks some. */
function judge(
  missing: readonly number[],
  moving: readonly Partial<TransitBatch>[],
  rest: Partial<Transit> = {},
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
  return judgeLedger({ producers: [producer], ...counts }, { batches, complete: true, ...rest });
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
    expect(report.reasons).toEqual(["5 clicks could not be stored and were put aside; see hop dead list"]);
  });
});

describe("more missing numbers than are named", () => {
  test("are in doubt while as many are in the stream", () => {
    expect(
      judge(
        upTo(15),
        upTo(15).map((seq) => ({ seq })),
      ).verdict,
    ).toBe("undecided");
  });

  test("are a loss when fewer are in the stream", () => {
    expect(
      judge(
        upTo(15),
        upTo(14).map((seq) => ({ seq })),
      ).reasons,
    ).toEqual(["producer p1 lacks 1 of 40 batches"]);
  });
});

test("a batch that is in the stream twice counts once", () => {
  expect(judge([2], [{ seq: 2 }, { seq: 2 }]).waitingClicks).toBe(5);
});
