// The variables of tracing.

import { bound, HOUR_MS, ms, type Bound } from "./bounds.ts";
import type { Kind } from "./kinds.ts";

const collectorUrl: Kind<string> = {
  accepts: "an http:// or https:// URL with its path, such as http://localhost:4318/v1/traces",
  unit: undefined,
  parse: (text) =>
    /^https?:\/\/[^\s/]/.test(text) && URL.canParse(text) ? { value: text } : { refused: "is not allowed" },
};

const share: Kind<number> = {
  accepts: "a number from 0 to 1, such as 0.01",
  unit: undefined,
  parse: (text) =>
    /^(0|1|[01]?\.\d{1,9}|1\.0{1,9})$/.test(text) && Number(text) <= 1
      ? { value: Number(text) }
      : { refused: "is not allowed" },
};

export const TRACE_VARIABLES = {
  traceUrl: {
    name: "HOP_TRACE_URL",
    group: "Access and logs",
    kind: collectorUrl,
    unset: "no tracing",
    secret: true,
    doc: "a collector that takes OpenTelemetry traces over HTTP (OTLP)",
  },
  traceSample: {
    name: "HOP_TRACE_SAMPLE",
    group: "Access and logs",
    kind: share,
    default: "0.01",
    doc: "share of redirects that are traced; a traceparent of the request decides instead",
  },
} as const;

export const TRACE_BOUNDS = {
  traceQueueMax: bound(
    "HOP_TRACE_QUEUE_MAX",
    "spans",
    2_048,
    1_000_000,
    "spans that wait for the collector; more are dropped and counted",
  ),
  traceTimeoutMs: ms(
    "HOP_TRACE_TIMEOUT_MS",
    5_000,
    HOUR_MS,
    "spans that the collector has not taken after this are dropped and counted",
  ),
} as const satisfies Record<string, Bound>;
