// What the click ledger proves, and what it does not.
import { describe, expect, test } from "bun:test";
import { judgeLedger, type LedgerFacts, type ProducerFacts } from "../../src/clicks/ledger.ts";

function producer(rest: Partial<ProducerFacts> = {}): ProducerFacts {
  return {
    id: "p1",
    recorder: "batch",
    ack: "durable",
    ended: true,
    lastSeq: 2,
    maxSeq: 2,
    batches: 2,
    clicks: 5,
    dropped: {},
    missing: [],
    ...rest,
  };
}

function judge(facts: Partial<LedgerFacts>) {
  return judgeLedger({
    producers: [producer()],
    batchClicks: 5,
    storedClicks: 5,
    queuedClicks: 0,
    retiredClicks: 0,
    totalledClicks: 5,
    sortedClicks: facts.totalledClicks ?? 5,
    unsortedClicks: 0,
    ...facts,
  });
}

describe("the ledger is balanced", () => {
  test("when batches, rows and totals agree and no number is missing", () => {
    expect(judge({})).toMatchObject({ verdict: "balanced", reasons: [], batchClicks: 5 });
  });

  test("while clicks are on their way to the totals", () => {
    expect(judge({ totalledClicks: 2, queuedClicks: 3 }).verdict).toBe("balanced");
  });

  test("while clicks are on their way to the dimensions", () => {
    expect(judge({ sortedClicks: 1, unsortedClicks: 4 }).verdict).toBe("balanced");
  });

  test("with rows that were dropped after their time", () => {
    expect(judge({ storedClicks: 2, retiredClicks: 3 }).verdict).toBe("balanced");
  });

  test("with nobody and nothing", () => {
    const nothing = { producers: [], batchClicks: 0, storedClicks: 0, totalledClicks: 0 };
    expect(judge(nothing)).toMatchObject({ verdict: "balanced", dropped: {} });
  });

  test("with a durable producer that never said goodbye: it answered only what is stored", () => {
    expect(judge({ producers: [producer({ ended: false, lastSeq: null })] }).verdict).toBe("balanced");
  });

  test("with gaps of an inline producer: those redirects were never answered", () => {
    const gaps = producer({ recorder: "inline", maxSeq: 9, lastSeq: 9, missing: [1, 2, 3] });
    expect(judge({ producers: [gaps] }).verdict).toBe("balanced");
  });

  test("with clicks that were dropped and counted, which it adds up by reason", () => {
    const producers = [
      producer({ ack: "async", dropped: { queue_full: 2, shutdown: 1 } }),
      producer({ id: "p2", ack: "async", dropped: { queue_full: 3 } }),
    ];
    expect(judge({ producers })).toMatchObject({
      verdict: "balanced",
      dropped: { queue_full: 5, shutdown: 1 },
    });
  });
});

describe("the ledger is unbalanced", () => {
  test("when a number below a stored one is missing, which it names", () => {
    const report = judge({
      producers: [producer({ maxSeq: 4, lastSeq: null, batches: 2, missing: [1, 3] })],
    });
    expect(report.verdict).toBe("unbalanced");
    expect(report.reasons).toEqual(["producer p1 lacks 2 of 4 batches (numbers 1, 3)"]);
  });

  test("when the last number that a producer named is not there", () => {
    const report = judge({ producers: [producer({ lastSeq: 3, missing: [3] })] });
    expect(report.reasons).toEqual(["producer p1 lacks 1 of 3 batches (numbers 3)"]);
  });

  test("and says so when more numbers are missing than it names", () => {
    const report = judge({ producers: [producer({ maxSeq: 100, missing: [1, 2] })] });
    expect(report.reasons[0]).toEndWith("lacks 98 of 100 batches (numbers 1, 2, …)");
  });

  test("when clicks of confirmed batches are not stored", () => {
    expect(judge({ storedClicks: 3 })).toMatchObject({
      verdict: "unbalanced",
      reasons: ["2 clicks of confirmed batches are not stored"],
    });
  });

  test("when clicks are stored more often than they were recorded", () => {
    expect(judge({ storedClicks: 6 })).toMatchObject({
      verdict: "unbalanced",
      reasons: ["1 clicks are stored more often than they were recorded"],
    });
  });

  test.each([
    [4, 0],
    [6, 0],
    [5, 1],
    [2, 2],
  ])("when the totals count %d and %d are on their way, of 5", (totalledClicks, queuedClicks) => {
    const { verdict, reasons } = judge({ totalledClicks, queuedClicks });
    expect(verdict).toBe("unbalanced");
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toContain(
      `totals count ${totalledClicks} clicks and ${queuedClicks} are on their way`,
    );
  });

  test("when the dimensions count other clicks than the totals", () => {
    const { verdict, reasons } = judge({ sortedClicks: 3, unsortedClicks: 1 });
    expect([verdict, reasons]).toEqual([
      "unbalanced",
      ["dimensions count 3 clicks and 1 are on their way, totals count 5"],
    ]);
  });
});

describe("the ledger is undecided", () => {
  const open = producer({ ack: "async", ended: false, lastSeq: null });

  test("while a producer that answers first has not ended", () => {
    const { verdict, reasons } = judge({ producers: [open] });
    expect(verdict).toBe("undecided");
    expect(reasons[0]).toContain("producer p1 answers before it stores");
  });

  test("only if no loss is proven; then it is unbalanced, with both reasons", () => {
    const report = judge({ producers: [open, producer({ id: "p2", lastSeq: 3, missing: [3] })] });
    expect(report.verdict).toBe("unbalanced");
    expect(report.reasons).toHaveLength(2);
  });
});
