// Loads and opens tracing when the configuration asks for it; nothing of OpenTelemetry is imported otherwise.
import { Counter, type Registry } from "prom-client";
import type { ClickStore } from "./clicks/ports.ts";
import type { Config } from "./config.ts";
import type { RedirectTracer } from "./lib/trace.ts";

/** What of a process can be traced. */
export interface Tracer extends RedirectTracer {
  around(store: ClickStore, step: "append" | "store"): ClickStore;
}

export interface TracingParts {
  readonly config: Config;
  readonly registry: Registry;
  /** As in `hop serve`. */
  readonly process: "serve" | "work";
  readonly version: string;
}

/** Undefined when it is off. */
export async function openTracing(
  { config, registry, process, version }: TracingParts,
  started: AsyncDisposableStack,
): Promise<Tracer | undefined> {
  const { traceUrl: url, traceSample: sample, traceQueueMax, traceTimeoutMs } = config;
  if (url === undefined) return undefined;
  const counter = new Counter({
    name: "hop_trace_spans_total",
    help: "Spans by what became of them; all but exported are dropped",
    labelNames: ["result"],
    registers: [registry],
  });
  const [{ Spans }, { Tracing }] = await Promise.all([
    import("./tracing/spans.ts"),
    import("./tracing/tracing.ts"),
  ]);
  const spans = new Spans({
    url,
    process,
    version,
    maxQueued: traceQueueMax,
    exportTimeoutMs: traceTimeoutMs,
    onSpans: (result, count) => counter.inc({ result }, count),
  });
  started.defer(() => spans.close(traceTimeoutMs));
  return new Tracing({ spans, sample, random: Math.random });
}
