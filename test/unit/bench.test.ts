// The benchmark's arithmetic: what it says of a run must follow from the run.
import { describe, expect, test } from "bun:test";
import { chartOf } from "../../bench/chart.ts";
import { figure, judgeGoals, ratio, type Results } from "../../bench/figures.ts";
import type { Ledger } from "../../bench/hop.ts";
import {
  countsAgree,
  ledgerBalances,
  littlesLaw,
  noErrors,
  quiet,
  statisticsAgree,
} from "../../bench/laws.ts";
import type { Sample } from "../../bench/measure.ts";
import { median } from "../../bench/median.ts";
import { pageOf } from "../../bench/page.ts";
import { quantile, questions } from "../../bench/statistics-questions.ts";
import type { SubjectName } from "../../bench/subjects.ts";
import { seededRandom, zipfSequence } from "../../bench/workload.ts";
import type { WrkReport } from "../../bench/wrk.ts";

const NO_ERRORS = { connect: 0, read: 0, write: 0, status: 0, timeout: 0 };

function report(changes: Partial<WrkReport> = {}): WrkReport {
  const latencyMs = { mean: 6.4, p50: 6, p99: 12, max: 20 };
  return {
    connections: 64,
    requests: 50_000,
    seconds: 5,
    cpuSeconds: 1,
    allCpuSeconds: 1,
    latencyMs,
    errors: NO_ERRORS,
    ...changes,
  };
}

function sample(subject: SubjectName, round: number, perSecond: number): Sample {
  const laws = [noErrors(report())];
  const cpu = { cpuUs: { server: 10 }, othersShare: 0.01 };
  return { subject, round, perSecond, report: report(), ...cpu, hop: undefined, laws };
}

function ledger(storedClicks: number, dropped = {}, verdict: Ledger["verdict"] = "balanced"): Ledger {
  return { verdict, storedClicks, dropped, reasons: [] };
}

/** Of the goals of storing and of statistics, which are the last. */
function verdicts(results: Partial<Results>): (boolean | undefined)[] {
  const goals = judgeGoals({ samples: [], firstStartsMs: [], ...results });
  return goals.slice(-6).map(({ met }) => met);
}

describe("figures", () => {
  test("a median is the middle value, or the mean of the two in the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow(RangeError);
  });

  test("what was not measured is left out", () => {
    expect(figure([undefined, 2, 1])).toEqual({ median: 1.5, min: 1, max: 2 });
    expect(figure([undefined])).toBeUndefined();
  });

  test("a ratio is taken within each round", () => {
    const samples = [
      sample("nginx", 1, 100),
      sample("nginx", 2, 50),
      sample("batch", 1, 30),
      sample("batch", 2, 20),
    ];
    expect(ratio(samples, "batch", "nginx")).toEqual({ median: 0.35, min: 0.3, max: 0.4 });
    expect(ratio(samples, "async", "nginx")).toBeUndefined();
  });

  test("a goal is judged by the median, and not at all without a measurement", () => {
    const samples = [sample("nginx", 1, 100), sample("batch", 1, 24)];
    const [batch, async] = judgeGoals({ samples, firstStartsMs: [] });
    expect(batch?.met).toBe(false);
    expect(async?.met).toBeUndefined();
  });

  test("storing and statistics have goals, and are not judged when they were not measured", () => {
    const storing = {
      clicks: 1_000,
      bytesPerClick: 121,
      storedPerSecond: 90_000,
      rowsPerSecond: 59_000,
      copiedPerSecond: 900_000,
      peakBytes: 150e6,
      laws: [],
    };
    const size = { clicks: 100, linkClicks: 10, p50Ms: 2, p99Ms: 9, fillSeconds: 1 };
    const statistics = { few: size, many: { ...size, p50Ms: 2.9, p99Ms: 51 }, laws: [] };
    expect(verdicts({ storing, statistics })).toEqual([false, true, false, false, true, false]);
    expect(verdicts({})).toEqual(Array.from({ length: 6 }, () => undefined));
  });
});

describe("laws", () => {
  test("Little's law holds when 64 requests are in flight", () => {
    expect(littlesLaw(report()).holds).toBe(true);
  });

  test("Little's law finds requests that never ended", () => {
    expect(littlesLaw(report({ requests: 10_000 })).holds).toBe(false);
  });

  test("fewer requests in flight are explained by a client without CPU to spare", () => {
    expect(littlesLaw(report({ requests: 30_000, cpuSeconds: 4.9 })).holds).toBe(true);
  });

  test("more requests in flight than connections are impossible", () => {
    expect(littlesLaw(report({ requests: 60_000 })).holds).toBe(false);
  });

  test("a run beside other work is not believed", () => {
    expect(quiet(0.03).holds).toBe(true);
    expect(quiet(0.3)).toMatchObject({ holds: false, seen: "30 % for others" });
  });

  test("any error is named", () => {
    const law = noErrors(report({ errors: { ...NO_ERRORS, status: 3 } }));
    expect(law).toMatchObject({ holds: false, seen: "3 status" });
  });

  test("hop may count what wrk hung up on, and nothing else", () => {
    const runs = [report({ requests: 400 }), report({ requests: 600, connections: 1_000 })];
    expect(countsAgree(2_064, runs).holds).toBe(true);
    expect(countsAgree(2_065, runs).holds).toBe(false);
    expect(countsAgree(999, runs).holds).toBe(false);
  });

  test("statistics agree with the rows in clicks, in their sum over a dimension and in visitors", () => {
    const answered = { clicks: 10, ofDevices: 10, visitors: 4 };
    expect(statisticsAgree(answered, { clicks: 10, visitors: 4 }).holds).toBe(true);
    expect(statisticsAgree(answered, { clicks: 11, visitors: 4 }).holds).toBe(false);
    expect(statisticsAgree(answered, { clicks: 10, visitors: 5 }).holds).toBe(false);
    expect(statisticsAgree({ ...answered, ofDevices: 9 }, { clicks: 10, visitors: 4 }).holds).toBe(false);
  });

  test("every redirect served is stored or dropped for a reason", () => {
    expect(ledgerBalances(ledger(100), ledger(150), 50).holds).toBe(true);
    expect(ledgerBalances(ledger(100), ledger(140, { queue_full: 10 }), 50).holds).toBe(true);
    expect(ledgerBalances(ledger(100), ledger(149), 50).holds).toBe(false);
    expect(ledgerBalances(ledger(100), ledger(150, {}, "undecided"), 50).holds).toBe(false);
  });
});

test("a quantile is the smallest value that so many do not pass", () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  expect([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)]).toEqual([100, 198, 200]);
  expect(() => quantile([], 0.5)).toThrow(RangeError);
});

test("statistics are asked for every interval, dimension and way to treat bots", () => {
  const asked = questions().map((query) => {
    const { from, ...rest } = Object.fromEntries(new URLSearchParams(query));
    expect(Date.parse(from ?? "")).toBeLessThan(Date.now());
    return Object.values(rest).join(" ");
  });
  expect(new Set(asked).size).toBe(3 * 6 * 2);
});

test("the first of 1,000 links gets its share by Zipf's law", () => {
  const drawn = zipfSequence(1_000, 100_000, seededRandom(1));
  const share = drawn.filter((index) => index === 0).length / drawn.length;
  // 1 / (1 + 1/2 + … + 1/1000)
  expect(share).toBeCloseTo(0.1336, 2);
  expect(Math.min(...new Set(drawn))).toBe(0);
  expect(Math.max(...new Set(drawn))).toBeLessThan(1_000);
});

describe("page and chart", () => {
  const results = {
    samples: [sample("bun", 1, 80_000), sample("batch", 1, 30_000)],
    firstStartsMs: [900],
    disturbed: 0,
    surroundings: [["CPU", "one of a kind"]] as const,
    finishedAt: new Date("2026-01-02T03:04:05Z"),
  };
  const options = { command: "npm run bench", seconds: 5, repeats: 1, links: 1_000 };

  test("say so when nginx was not there", () => {
    const page = pageOf(results, options);
    expect(page).toContain("nginx was not measured");
    expect(page).toContain("not judged");
    expect(page).not.toContain("NaN");
    expect(chartOf(results)).not.toContain("NaN");
  });

  test("name the law that was broken", () => {
    const broken = noErrors(report({ errors: { ...NO_ERRORS, timeout: 7 } }));
    const samples = [{ ...sample("batch", 2, 30_000), laws: [broken] }];
    expect(pageOf({ ...results, samples }, options)).toContain("**broken** round 2 batch: 7 timeout");
  });
});
