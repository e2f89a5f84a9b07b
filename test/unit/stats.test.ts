// Which buckets a question about clicks means, and how they are filled.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { INTERVALS, type Interval, MAX_BUCKETS, planStats, presentStats } from "../../src/clicks/stats.ts";
import type { StatsFacts, StatsQuery, StatsRequest } from "../../src/clicks/stats.ts";
import { AppError } from "../../src/lib/errors.ts";

const NOW = "2024-03-15T10:20:30.456Z";
const HOUR_MS = 3_600_000;

const at = (text: string | undefined) => (text === undefined ? undefined : new Date(text));

function plan(interval: Interval, from?: string, to?: string, now = NOW): StatsQuery {
  const request: StatsRequest = { from: at(from), to: at(to), interval, by: "country", bots: "include" };
  return planStats(request, Date.parse(now));
}

/** The range of a plan, in short. */
function range(query: StatsQuery): string[] {
  return [query.fromMs, query.toMs].map((ms) => new Date(ms).toISOString().replace(":00.000Z", ""));
}

function present(query: StatsQuery, facts: Partial<StatsFacts> = {}) {
  return presentStats(query, { buckets: [], unique: 0, top: [], asOfMs: 0, ...facts });
}

const startsOf = (query: StatsQuery) => present(query).series.map(({ start }) => start);

function refusal(planning: () => unknown): AppError {
  try {
    planning();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("the range", () => {
  test.each([
    ["hour", ["2024-03-13T11:00", "2024-03-15T11:00"]],
    ["day", ["2024-02-15T00:00", "2024-03-16T00:00"]],
    ["month", ["2023-04-01T00:00", "2024-04-01T00:00"]],
  ] as const)(
    "without limits is the last 48 hours, 30 days or 12 months, now included: %s",
    (interval, expected) => {
      expect(range(plan(interval))).toEqual([...expected]);
      expect(startsOf(plan(interval))).toHaveLength({ hour: 48, day: 30, month: 12 }[interval]);
    },
  );

  test.each([
    [
      "hour",
      "2024-02-28T23:59:59.999Z",
      "2024-02-29T00:00:00.001Z",
      ["2024-02-28T23:00", "2024-02-29T01:00"],
    ],
    ["day", "2024-02-28T12:00:00Z", "2024-02-29T00:00:01Z", ["2024-02-28T00:00", "2024-03-01T00:00"]],
    ["month", "2024-01-31T00:00:00Z", "2024-02-29T23:00:00Z", ["2024-01-01T00:00", "2024-03-01T00:00"]],
  ] as const)("is widened to whole buckets: %s", (interval, from, to, expected) => {
    expect(range(plan(interval, from, to))).toEqual([...expected]);
  });

  test.each(INTERVALS)("that ends on a boundary is not widened: %s", (interval) => {
    const query = plan(interval, "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z");
    expect(range(query)).toEqual(["2024-01-01T00:00", "2024-02-01T00:00"]);
  });

  test("without a start ends where it was told to", () => {
    expect(range(plan("day", undefined, "2024-03-01T00:00:00Z"))).toEqual([
      "2024-01-31T00:00",
      "2024-03-01T00:00",
    ]);
  });

  test("at a moment on a boundary holds the bucket that begins then", () => {
    expect(range(plan("hour", undefined, undefined, "2024-03-15T10:00:00Z"))[1]).toBe("2024-03-15T11:00");
  });

  test.each([
    ["2024-03-02T00:00:00Z", "2024-03-01T00:00:00Z"],
    ["2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z"],
    ["2024-03-17T00:00:00Z", undefined],
  ])("that is empty is refused: %s to %s", (from, to) => {
    expect(refusal(() => plan("day", from, to)).fields).toEqual([
      { path: "from", message: "must be earlier than `to`" },
    ]);
  });

  test.each(["hour", "day"] as const)("has at most MAX_BUCKETS buckets: %s", (interval) => {
    const bucketMs = interval === "hour" ? HOUR_MS : 24 * HOUR_MS;
    const from = Date.parse("2020-01-01T00:00:00Z");
    const to = (buckets: number) => new Date(from + buckets * bucketMs).toISOString();
    const start = new Date(from).toISOString();
    expect(startsOf(plan(interval, start, to(MAX_BUCKETS)))).toHaveLength(MAX_BUCKETS);
    const { code, fields } = refusal(() => plan(interval, start, to(MAX_BUCKETS + 1)));
    expect([code, fields[0]?.path]).toEqual(["INVALID", "interval"]);
  });

  test("may not leave the four-digit years that Postgres and ISO 8601 share", () => {
    for (const interval of INTERVALS) {
      const { code, fields } = refusal(() => plan(interval, "9999-12-31T00:00:00Z", "9999-12-31T23:30:00Z"));
      expect([code, fields[0]?.path]).toEqual(["INVALID", "to"]);
    }
    expect(range(plan("month", "9999-10-01T00:00:00Z", "9999-12-01T00:00:00Z"))[1]).toBe("9999-12-01T00:00");
  });
});

describe("the series", () => {
  test("has every hour across a leap day", () => {
    const starts = startsOf(plan("hour", "2024-02-28T22:00:00Z", "2024-03-01T02:00:00Z"));
    expect(starts).toHaveLength(28);
    expect(starts.slice(0, 3)).toEqual([
      "2024-02-28T22:00:00.000Z",
      "2024-02-28T23:00:00.000Z",
      "2024-02-29T00:00:00.000Z",
    ]);
    expect(starts.at(-1)).toBe("2024-03-01T01:00:00.000Z");
  });

  test.each([
    ["2024", "2024-02-29T00:00:00.000Z"],
    ["2023", "2023-03-01T00:00:00.000Z"],
    ["2000", "2000-02-29T00:00:00.000Z"],
    ["1900", "1900-03-01T00:00:00.000Z"],
  ])("has the day after 28 February that %s has", (year, next) => {
    expect(startsOf(plan("day", `${year}-02-28T00:00:00Z`, `${year}-03-02T00:00:00Z`))[1]).toBe(next);
  });

  test("has months of every length, across the turn of a year", () => {
    expect(startsOf(plan("month", "2023-11-30T00:00:00Z", "2024-03-31T00:00:00Z"))).toEqual([
      "2023-11-01T00:00:00.000Z",
      "2023-12-01T00:00:00.000Z",
      "2024-01-01T00:00:00.000Z",
      "2024-02-01T00:00:00.000Z",
      "2024-03-01T00:00:00.000Z",
    ]);
  });

  test("has zeros where nothing happened and the facts where something did", () => {
    const query = plan("day", "2024-02-28T00:00:00Z", "2024-03-02T00:00:00Z");
    const stats = present(query, {
      buckets: [{ startMs: Date.parse("2024-02-29T00:00:00Z"), clicks: 7, unique: 3 }],
      unique: 3,
      top: [{ value: "DE", clicks: 7 }],
      asOfMs: Date.parse(NOW),
    });
    expect(stats).toEqual({
      total: 7,
      unique: 3,
      series: [
        { start: "2024-02-28T00:00:00.000Z", clicks: 0, unique: 0 },
        { start: "2024-02-29T00:00:00.000Z", clicks: 7, unique: 3 },
        { start: "2024-03-01T00:00:00.000Z", clicks: 0, unique: 0 },
      ],
      top: [{ value: "DE", clicks: 7 }],
      asOf: NOW,
    });
  });

  test("is contiguous, covers the range and adds up to the total, whatever is asked", () => {
    const moment = fc.date({
      noInvalidDate: true,
      min: new Date("1970-01-02T00:00:00Z"),
      max: new Date("2100-01-01T00:00:00Z"),
    });
    const spanMs = fc.integer({ min: 1, max: 80 * 24 * HOUR_MS });
    const amounts = fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.constantFrom(...INTERVALS), moment, spanMs, amounts, (interval, from, span, clicks) => {
        const to = new Date(from.getTime() + span);
        const query = planStats({ from, to, interval, by: "country", bots: "include" }, 0);
        const empty = present(query).series.map(({ start }) => Date.parse(start));
        const buckets = clicks.slice(0, empty.length).map((count, index) => ({
          startMs: empty[index] ?? 0,
          clicks: count,
          unique: Math.min(count, 1),
        }));
        const { series, total } = present(query, { buckets });
        expect(series.map(({ start }) => Date.parse(start))).toEqual(empty);
        expect(total).toBe(buckets.reduce((sum, bucket) => sum + bucket.clicks, 0));
        expect(series.reduce((sum, bucket) => sum + bucket.clicks, 0)).toBe(total);
        expect(query.fromMs).toBeLessThanOrEqual(from.getTime());
        expect(query.toMs).toBeGreaterThanOrEqual(to.getTime());
        // Each start is followed by the next one, and no shorter or longer bucket hides in between.
        for (const [index, startMs] of empty.entries()) {
          const nextMs = empty[index + 1] ?? query.toMs;
          const days = (nextMs - startMs) / (24 * HOUR_MS);
          if (interval === "hour") expect(nextMs - startMs).toBe(HOUR_MS);
          if (interval === "day") expect(days).toBe(1);
          if (interval === "month") expect([28, 29, 30, 31]).toContain(days);
        }
        expect(empty[0]).toBe(query.fromMs);
      }),
      { numRuns: 150 },
    );
  });
});
