// What the page says of versions and of many links must follow from the runs, null results too.
import { describe, expect, test } from "bun:test";
import { judgeGoals, ratio } from "../../bench/figures.ts";
import { isNull, ladderTable } from "../../bench/ladder.ts";
import type { Sample } from "../../bench/measure.ts";
import { codesByPopularity } from "../../bench/scale-links.ts";
import { scaleTable } from "../../bench/scale-table.ts";
import { durations, type SubjectName, SUBJECTS } from "../../bench/subjects.ts";
import { PRESETS } from "../../src/config/presets.ts";

function sample(subject: SubjectName, round: number, perSecond: number, p99 = 10): Sample {
  return {
    subject,
    round,
    perSecond,
    report: {
      connections: 64,
      requests: 1_000,
      seconds: 1,
      cpuSeconds: 0.1,
      allCpuSeconds: 0.1,
      latencyMs: { mean: 5, p50: 5, p99, max: 20 },
      errors: { connect: 0, read: 0, write: 0, status: 0, timeout: 0 },
    },
    cpuUs: { server: 100, Postgres: 50 },
    othersShare: 0,
    hop: undefined,
    laws: [],
  };
}

describe("the ladder", () => {
  test("every preset is measured", () => {
    const arguments_ = SUBJECTS.map(({ hop }) => hop?.args.join(" ") ?? "");
    for (const name of Object.keys(PRESETS))
      expect(arguments_.some((args) => args.startsWith(`--preset ${name}`))).toBe(true);
  });

  test("a difference is named with its size", () => {
    const samples = [1, 2].flatMap((round) => [
      sample("v0.1", round, 5_000, 60),
      sample("v0.2x4", round, 6_500, 36),
    ]);
    expect(ladderTable(samples).join("\n")).toContain(
      "v0.2, 4 processes, against v0.1: 1.30 of the redirects a second; p99 0.60 of it; no difference in CPU a request.",
    );
  });

  test("rounds that disagree on which is more are a null result", () => {
    const samples = [
      sample("v0.1", 1, 5_000),
      sample("v0.2x1", 1, 5_600),
      sample("v0.1", 2, 5_000),
      sample("v0.2x1", 2, 4_900),
    ];
    expect(ladderTable(samples).join("\n")).toContain("no difference in redirects a second");
  });

  test("less than two runs of the same settings differ by is a null result", () => {
    expect(isNull({ median: 1.02, min: 1.01, max: 1.04 })).toBe(true);
    expect(isNull({ median: 1.05, min: 1.01, max: 1.08 })).toBe(false);
  });

  test("a version whose predecessor was not measured is not compared", () => {
    expect(ladderTable([sample("v0.3", 1, 5_000)])).toEqual([]);
  });

  test("any value can be compared, and a zero cannot be compared with", () => {
    const samples = [sample("v0.1", 1, 10, 0), sample("v0.3", 1, 20, 8)];
    expect(ratio(samples, "v0.3", "v0.1")?.median).toBe(2);
    expect(ratio(samples, "v0.3", "v0.1", ({ report }) => report.latencyMs.p99)).toBeUndefined();
  });

  test("short subjects are measured for whole seconds, at least one", () => {
    expect(durations(4, { short: true })).toEqual({ warmUp: 2, measured: 3 });
    expect(durations(1, { short: true })).toEqual({ warmUp: 1, measured: 1 });
    expect(durations(4, {})).toEqual({ warmUp: 4, measured: 4 });
  });
});

describe("many links", () => {
  const few = {
    links: 1_000,
    perSecond: [100, 200],
    p99Ms: [5, 6],
    hitRatio: 1,
    residentBytes: 150e6,
  };
  const many = { ...few, links: 1_000_000, perSecond: [80, 190], hitRatio: 0.85 };
  const scale = { few, many, cached: { links: 100_000, residentBytes: 260e6 }, laws: [] };

  test("are judged round by round, and memory by its bound", () => {
    const goals = judgeGoals({ samples: [], firstStartsMs: [], scale });
    const rate = goals.find(({ what }) => what.includes("1,000,000 links"));
    expect(rate?.seen?.median).toBeCloseTo(0.875, 5);
    expect(rate?.met).toBe(true);
    expect(goals.find(({ what }) => what.includes("100,000 links in its cache"))?.met).toBe(false);
  });

  test("stand on the page beside the two processes", () => {
    const samples = [sample("batch", 1, 100), sample("batch-2", 1, 130)];
    const page = scaleTable({ samples, firstStartsMs: [], scale }).join("\n");
    expect(page).toContain("Two processes do 1.30");
    expect(page).toContain("| 1,000,000 | 135 (80–190) | 0.88 (0.80–0.95) |");
    expect(page).toContain("260 MB");
  });

  test("have a code each, in no order", () => {
    const codes = codesByPopularity(10_000);
    expect(new Set(codes).size).toBe(10_000);
    expect(codes.every((code) => /^[0-9a-f]{7}$/.test(code))).toBe(true);
    expect(codes).not.toEqual(codes.toSorted());
  });
});
