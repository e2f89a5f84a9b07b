// What a supervisor decides and adds up, without processes.
import { describe, expect, test } from "bun:test";
import { Counter, Gauge, Registry } from "prom-client";
import { createInstruments } from "../../src/instruments.ts";
import { Crashes } from "../../src/fleet/crashes.ts";
import { FleetHealth } from "../../src/fleet/health.ts";
import { type Metric, metricsSchema, sendable } from "../../src/fleet/messages.ts";
import { FleetTotals } from "../../src/fleet/totals.ts";

const BOUNDS = { max: 5, windowMs: 60_000, restartMs: 250, restartMaxMs: 30_000 };

describe("crashes", () => {
  test("of one process are answered with delays that double up to a bound, and half of a delay is random", () => {
    for (const [random, share] of [
      [0, 0.5],
      [1, 1],
    ] as const) {
      const crashes = new Crashes({ ...BOUNDS, max: 100, restartMaxMs: 1_000 }, 2, () => random);
      const delays = Array.from({ length: 5 }, () => crashes.note(1, 0));
      expect(delays).toEqual([250, 500, 1_000, 1_000, 1_000].map((delay) => delay * share));
    }
  });

  test("older than the window are forgotten", () => {
    const crashes = new Crashes(BOUNDS, 1, () => 1);
    for (let count = 0; count < 100; count++) expect(crashes.note(1, count * BOUNDS.windowMs)).toBe(250);
  });

  test("of all processes together are a loop at once", () => {
    const crashes = new Crashes(BOUNDS, 2, () => 1);
    const answers = Array.from({ length: 10 }, (_, index) => crashes.note(1 + (index % 2), index));
    expect(answers.indexOf("loop")).toBe(9);
  });

  test("of one process that never starts are no loop while another serves", () => {
    // The earliest that it can crash again, with the luckiest delays.
    const crashes = new Crashes(BOUNDS, 2, () => 0);
    let nowMs = 0;
    for (let count = 0; count < 50; count++) {
      const delayMs = crashes.note(1, nowMs);
      if (delayMs === "loop") throw new Error(`given up at crash ${count + 1}, after ${nowMs} ms`);
      nowMs += delayMs;
    }
  });
});

/** A process that has counted some redirects. */
async function counted(redirects: number): Promise<Metric[]> {
  const instruments = createInstruments("1");
  instruments.redirects.add("redirected", redirects);
  for (let count = 0; count < redirects; count++) instruments.redirectSeconds.observe(0.001);
  instruments.listening.set(1);
  return metricsSchema.parse(JSON.parse(JSON.stringify(await instruments.registry.getMetricsAsJSON())));
}

async function open(): Promise<{
  totals: FleetTotals;
  living: Set<{ metrics: readonly Metric[]; count: () => Promise<boolean> }>;
  value: (line: string) => Promise<number>;
  missing: () => number;
}> {
  const own = new Registry();
  new Counter({ name: "own_total", help: "Own", registers: [own] }).inc(3);
  let missing = 0;
  const totals = new FleetTotals(own, () => missing++);
  const living = new Set<{ metrics: readonly Metric[]; count: () => Promise<boolean> }>();
  const value = async (line: string) => {
    const text = await totals.read(living);
    const found = text.split("\n").find((candidate) => candidate.startsWith(`${line} `));
    return found === undefined ? Number.NaN : Number(found.slice(line.length + 1));
  };
  return { totals, living, value, missing: () => missing };
}

const REDIRECTED = 'hop_redirects_total{outcome="redirected"}';

describe("the metrics of a host", () => {
  test("are the sums of its processes' counters and histograms, and its supervisor's own", async () => {
    const { living, value } = await open();
    for (const redirects of [2, 5])
      living.add({ metrics: await counted(redirects), count: async () => true });
    expect(await value(REDIRECTED)).toBe(7);
    expect(await value("hop_redirect_seconds_count")).toBe(7);
    expect(await value('hop_redirect_seconds_bucket{le="+Inf"}')).toBe(7);
    expect(await value('hop_redirect_seconds_bucket{le="0.00005"}')).toBe(0);
    expect(await value("own_total")).toBe(3);
  });

  test("keep what departed processes counted, however many, and forget their gauges", async () => {
    const { totals, living, value } = await open();
    living.add({ metrics: await counted(1), count: async () => true });
    for (let count = 0; count < 5; count++) {
      totals.keep(await counted(10));
      expect(await value(REDIRECTED)).toBe(1 + 10 * (count + 1));
    }
    expect(await value("hop_redirect_seconds_count")).toBe(51);
    expect(await value('hop_build_info{version="1"}')).toBe(1);
  });

  test("have the last numbers of a process that does not answer, and count that", async () => {
    const { living, value, missing } = await open();
    living.add({ metrics: await counted(4), count: async () => false });
    expect(await value(REDIRECTED)).toBe(4);
    expect(missing()).toBe(1);
  });

  test("count a process that departs while the others are asked once", async () => {
    const { totals, living, value } = await open();
    const leaving = {
      metrics: await counted(6),
      count: async () => {
        living.delete(leaving);
        totals.keep(leaving.metrics);
        return true;
      },
    };
    living.add(leaving);
    expect(await value(REDIRECTED)).toBe(6);
  });

  test("say 1 for what is the same in every process, and 0 when one does not listen", async () => {
    const { living, value } = await open();
    for (let count = 0; count < 2; count++)
      living.add({ metrics: await counted(0), count: async () => true });
    expect(await value('hop_build_info{version="1"}')).toBe(1);
    expect(await value("hop_invalidation_listening")).toBe(1);
    const deaf = createInstruments("1");
    living.add({
      metrics: metricsSchema.parse(await deaf.registry.getMetricsAsJSON()),
      count: async () => true,
    });
    expect(await value("hop_invalidation_listening")).toBe(0);
  });

  test("survive a gauge that is not a number", async () => {
    const registry = new Registry();
    new Gauge({ name: "odd", help: "Odd", registers: [registry], aggregator: "average" }).set(Number.NaN);
    const sent: unknown = JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()));
    expect(metricsSchema.parse(sent)[0]?.values[0]?.value).toBeNaN();
  });

  test("of a process may be infinite, as the lag of a replica that is away, and stays so on every way", async () => {
    const registry = new Registry();
    new Gauge({ name: "lag", help: "Lag", registers: [registry], aggregator: "max" }).set(Infinity);
    const sent = JSON.parse(JSON.stringify(sendable(await registry.getMetricsAsJSON())));
    // A supervisor of an earlier version knows finite numbers only.
    expect(sent[0].values[0].value).toBeGreaterThan(1e300);
    const metrics = metricsSchema.parse(sent);
    expect(metrics[0]?.values[0]?.value).toBe(Infinity);
    const totals = new FleetTotals(registry, () => undefined);
    expect(await totals.read(new Set([{ metrics, count: async () => true }]))).toContain("\nlag +Inf\n");
  });
});

function patient(slot: number, state: string, ask: () => Promise<unknown>) {
  return { slot, pid: 1_000 + slot, state, startedAt: new Date(0), ask };
}

const well = async () => ({ status: 200, body: { status: "ready", dependencies: { postgres: "up" } } });
const ill = async () => ({
  status: 503,
  body: { status: "not ready", dependencies: { postgres: "down" } },
});

describe("the health of a host", () => {
  test("is ready while one process is, and says of each how it is", async () => {
    const answer = await new FleetHealth(
      new Set([patient(1, "ready", ill), patient(2, "ready", well)]),
      2,
    ).ready();
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      status: "ready",
      ready: 1,
      wanted: 2,
      dependencies: { postgres: "up" },
      processes: [
        { process: 1, pid: 1_001, status: "not ready" },
        { process: 2, status: "ready" },
      ],
    });
  });

  test.each([
    ["no process runs", []],
    ["all are ill", [patient(1, "ready", ill)]],
    ["all start or leave", [patient(1, "starting", well), patient(1, "leaving", well)]],
    ["a process says what nobody understands", [patient(1, "ready", async () => "fine")]],
  ])("is not ready while %s", async (_what, patients) => {
    expect((await new FleetHealth(new Set(patients), 2).ready()).status).toBe(503);
  });

  test("is not ready once it drains, and alive all the same", async () => {
    const health = new FleetHealth(new Set([patient(1, "ready", well)]), 1);
    health.drain();
    const answer = await health.ready();
    expect([answer.status, health.live().status]).toEqual([503, 200]);
    expect(await answer.json()).toMatchObject({ draining: true });
  });
});
