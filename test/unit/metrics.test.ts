// Counters and histograms, as Prometheus reads them.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Histogram, Registry } from "prom-client";
import { createInstruments } from "../../src/instruments.ts";
import { FastCounter, FastHistogram, SIZE_BUCKETS } from "../../src/lib/metrics.ts";

/** The lines of a registry that are values. */
async function lines(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function openCounter(registry: Registry) {
  return new FastCounter({
    name: "things_total",
    help: "Things",
    label: (kind) => ({ kind, tier: "memory" }),
    values: ["good", "bad"],
    registry,
  });
}

describe("a fast counter", () => {
  test("shows every value from the start, with all its labels", async () => {
    const registry = new Registry();
    openCounter(registry);
    expect(await lines(registry)).toEqual([
      'things_total{kind="good",tier="memory"} 0',
      'things_total{kind="bad",tier="memory"} 0',
    ]);
  });

  test("adds up, and being read changes nothing", async () => {
    const registry = new Registry();
    const counter = openCounter(registry);
    counter.add("good");
    counter.add("good", 4);
    counter.add("bad", 0);
    for (let reading = 0; reading < 3; reading++) {
      expect((await lines(registry))[0]).toBe('things_total{kind="good",tier="memory"} 5');
    }
    expect([counter.value("good"), counter.value("bad")]).toEqual([5, 0]);
  });
});

test("a fast histogram is read exactly as prom-client's own, whatever it observed", () => {
  const value = fc.oneof(
    fc.double({ min: 0, max: 10_000, noNaN: true }),
    fc.constantFrom(0, 0.5, ...SIZE_BUCKETS),
  );
  return fc.assert(
    fc.asyncProperty(fc.array(value), async (values) => {
      const [fast, own] = [new Registry(), new Registry()];
      const options = { name: "size", help: "Sizes", buckets: SIZE_BUCKETS };
      const fastHistogram = new FastHistogram({ ...options, registry: fast });
      const ownHistogram = new Histogram({ ...options, registers: [own] });
      for (const observed of values) {
        fastHistogram.observe(observed);
        ownHistogram.observe(observed);
      }
      expect(await fast.metrics()).toBe(await own.metrics());
    }),
  );
});

test("every metric that hop promises is there before anything happened", async () => {
  const { registry } = createInstruments("1.2.3");
  const text = await registry.metrics();
  for (const name of [
    "hop_redirects_total",
    "hop_redirect_seconds",
    "hop_links_created_total",
    "hop_code_collisions_total",
    "hop_cache_requests_total",
    "hop_invalidation_seconds",
    "hop_clicks_total",
    "hop_click_batch_size",
    "hop_spool_skipped_total",
    "hop_http_requests_total",
    "hop_http_request_seconds",
    "process_cpu_seconds_total",
  ]) {
    expect(text).toContain(`# TYPE ${name} `);
  }
  expect(text).toContain('hop_build_info{version="1.2.3"} 1');
});
