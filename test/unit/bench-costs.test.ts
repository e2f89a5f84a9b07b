// What the page says that observation costs must follow from the cycles that were measured.
import { expect, test } from "bun:test";
import { type Costs, costOf, type Cycle, wholeCycles } from "../../bench/costs.ts";
import { costsTable } from "../../bench/costs-table.ts";
import { judgeGoals } from "../../bench/figures.ts";

function cycle(...cpuUsPerRequest: readonly number[]): Cycle {
  return cpuUsPerRequest.map((cpuUs) => ({ requests: 1_000, cpuUs: cpuUs * 1_000 }));
}

function costs(changes: Partial<Costs>): Costs {
  return { metrics: [0.01], nothing: [0], traces: [0.02], cpuUsPerRequest: 12, laws: [], ...changes };
}

/** As a server prints it. */
function line(requests: number): string {
  const slices = [
    { requests, cpuUs: 5 },
    { requests: 2, cpuUs: 5 },
  ];
  return `CYCLE ${JSON.stringify(slices)}\n`;
}

/** Of metrics, then of tracing that is off. */
function verdicts(changes: Partial<Costs>): (boolean | undefined)[] {
  return judgeGoals({ samples: [], firstStartsMs: [], costs: costs(changes) })
    .filter(({ what }) => what.includes("throughput"))
    .map(({ met }) => met);
}

test("a cost is the part of its CPU time that a variant spends beyond another", () => {
  expect(costOf([cycle(9, 10)], 1, 0)).toBeCloseTo(0.1, 6);
});

test("one cycle that something disturbed does not decide", () => {
  expect(costOf([cycle(10, 10), cycle(9, 10), cycle(10, 50)], 1, 0)).toBeCloseTo(0.1, 6);
});

test("cycles in which wrk began or ended, or did not ask at all, are left out", () => {
  const output = `hop is ready\n${line(0)}${line(1)}${line(3)}${line(4)}${line(5)}${line(0)}`;
  expect(wholeCycles(output).map(([first]) => first?.requests)).toEqual([3, 4]);
});

test("metrics may cost 3 %, and tracing that is off 1 % in either direction", () => {
  expect(verdicts({ metrics: [0.02, 0.029, 0.05] })).toEqual([true, true]);
  expect(verdicts({ metrics: [0.031] })).toEqual([false, true]);
  expect(verdicts({ nothing: [-0.011] })).toEqual([true, false]);
});

test("the page shows each cost with its range", () => {
  const page = costsTable({ samples: [], firstStartsMs: [], costs: costs({ metrics: [0.01, 0.02, 0.03] }) });
  expect(page.join("\n")).toContain("| metrics | 2.0 % (1.0 %–3.0 %) |");
});
