// Every metric of one process. Labels come from closed sets, never from a code or a URL.
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { DROP_REASONS } from "./clicks/ports.ts";
import { REDIRECT_OUTCOMES } from "./http/redirect.ts";
import { FastCounter, FastHistogram, LATENCY_BUCKETS, SIZE_BUCKETS } from "./lib/metrics.ts";
import { CACHE_RESULTS } from "./links/route-cache.ts";
import { SHARED_RESULTS } from "./links/shared-cache.ts";

export type Instruments = ReturnType<typeof createInstruments>;

export function createInstruments(version: string) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "hop_build_info",
    help: "1, with the version of hop",
    labelNames: ["version"],
    registers: [registry],
    aggregator: "first",
  }).set({ version }, 1);
  const histogram = (name: string, help: string, buckets: readonly number[]) =>
    new FastHistogram({ name, help, buckets, registry });
  const plain = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  return {
    registry,
    redirects: new FastCounter({
      name: "hop_redirects_total",
      help: "Redirect requests by how they ended",
      label: "outcome",
      values: REDIRECT_OUTCOMES,
      registry,
    }),
    redirectSeconds: histogram(
      "hop_redirect_seconds",
      "Time from a request to its redirect",
      LATENCY_BUCKETS,
    ),
    linksCreated: plain("hop_links_created_total", "Links made"),
    codeCollisions: plain("hop_code_collisions_total", "Generated codes that were taken already"),
    cacheRequests: new FastCounter({
      name: "hop_cache_requests_total",
      help: "Lookups in each cache by result; stale = served although expired, because Postgres could not be asked; refused = may be older than what this process has seen; bypassed = Redis did not answer in time",
      label: cacheLabels,
      values: CACHE_REQUESTS,
      registry,
    }),
    breakerOpen: new Gauge({
      name: "hop_cache_breaker_open",
      help: "1 while this process passes the cache in Redis by, because it did not answer in time",
      registers: [registry],
      aggregator: "max",
    }),
    invalidationSeconds: histogram(
      "hop_invalidation_seconds",
      "Time from a link's change in Postgres to this process forgetting the old one",
      LATENCY_BUCKETS,
    ),
    listening: new Gauge({
      name: "hop_invalidation_listening",
      help: "1 while this process hears of changed links; at 0 staleness is bounded by the cache's time to live",
      registers: [registry],
      // One process of a host that does not listen is what an operator has to see.
      aggregator: "min",
    }),
    clicks: new FastCounter({
      name: "hop_clicks_total",
      help: "Clicks by what became of them",
      label: "stage",
      // "streamed" are in Redis, for workers to store; "duplicate" came again and were stored before.
      values: [
        "recorded",
        "streamed",
        "stored",
        "duplicate",
        "spooled",
        ...DROP_REASONS.map((reason) => `dropped_${reason}` as const),
      ],
      registry,
    }),
    clickBatchSize: histogram("hop_click_batch_size", "Clicks stored in one transaction", SIZE_BUCKETS),
    clickRetries: plain("hop_click_retries_total", "Attempts to store clicks that failed and are repeated"),
    spoolSkipped: new Counter({
      name: "hop_spool_skipped_total",
      help: "Records that left the spool without being stored, by what was wrong with them; torn ones were never promised",
      labelNames: ["reason"],
      registers: [registry],
    }),
    watchSpool(read: () => number, maxBytes: number): void {
      new Gauge({
        name: "hop_spool_bytes",
        help: "Bytes that this process's spool takes on the disk",
        registers: [registry],
        collect() {
          this.set(read());
        },
      });
      new Gauge({
        name: "hop_spool_max_bytes",
        help: "HOP_SPOOL_BYTES: what hop_spool_bytes may grow to before clicks are dropped",
        registers: [registry],
      }).set(maxBytes);
    },
    httpRequests: new Counter({
      name: "hop_http_requests_total",
      help: "API requests",
      labelNames: ["route", "method", "status"],
      registers: [registry],
    }),
    httpSeconds: histogram("hop_http_request_seconds", "Time of API requests", LATENCY_BUCKETS),
  };
}

/** Tier and result in one. */
const CACHE_REQUESTS = [
  ...CACHE_RESULTS.map((result) => `memory ${result}` as const),
  ...SHARED_RESULTS.map((result) => `redis ${result}` as const),
];

function cacheLabels(request: (typeof CACHE_REQUESTS)[number]) {
  const [tier = "", result = ""] = request.split(" ");
  return { result, tier };
}
