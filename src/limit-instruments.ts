// The metrics of rate limits, for processes that answer requests.
import { Counter, type Registry } from "prom-client";
import { LIMITS } from "./http/rate-limit.ts";
import { FastCounter } from "./lib/metrics.ts";

export function createLimitInstruments(registry: Registry) {
  return {
    limited: new FastCounter({
      name: "hop_rate_limited_total",
      help: "Requests that got 429, by the limit that they exceeded",
      label: "limit",
      values: LIMITS,
      registry,
    }),
    fallbacks: new Counter({
      name: "hop_rate_limit_fallbacks_total",
      help: "Requests that this process counted alone because Redis did not count them in time",
      registers: [registry],
    }),
  };
}
