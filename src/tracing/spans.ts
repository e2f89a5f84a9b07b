// OpenTelemetry behind a bound: spans go to a collector, and are dropped and counted where that is slow or gone.
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  type SpanKind,
  trace,
} from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, parseTraceParent } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { withDeadline } from "../lib/deadline.ts";

/** What became of spans; the label of hop_trace_spans_total. */
export type SpanResult = "exported" | "queue_full" | "export_failed";

export interface SpansOptions {
  /** Where a collector takes OTLP over HTTP, with its path. */
  readonly url: string;
  /** As in `hop serve`. */
  readonly process: string;
  readonly version: string;
  /** Spans that wait for the collector or are on their way to it. */
  readonly maxQueued: number;
  readonly exportTimeoutMs: number;
  readonly onSpans: (result: SpanResult, count: number) => void;
}

const EXPORT_EVERY_MS = 1_000;
const EXPORT_BATCH_MAX = 256;

/** Where a span belongs: its trace and its parent. */
export type Place = Context;

export class Spans {
  readonly #options: SpansOptions;
  readonly #provider: TracerProvider;
  readonly #tracer: ReturnType<TracerProvider["getTracer"]>;
  /** Begun and not yet exported or dropped. */
  #open = 0;

  constructor(options: SpansOptions) {
    this.#options = options;
    const { url, exportTimeoutMs, maxQueued, version } = options;
    const exporter = new OTLPTraceExporter({ url, timeoutMillis: exportTimeoutMs });
    this.#provider = new TracerProvider({
      // Whether a redirect is traced is decided before its span begins.
      sampler: new AlwaysOnSampler(),
      resource: resourceFromAttributes({
        "service.name": "hop",
        "service.version": version,
        "hop.process": options.process,
      }),
      spanProcessors: [
        new BatchSpanProcessor({
          exporter: this.#counting(exporter),
          // Never reached: `begin` refuses before.
          maxQueueSize: maxQueued,
          maxExportBatchSize: Math.min(EXPORT_BATCH_MAX, maxQueued),
          scheduledDelayMillis: EXPORT_EVERY_MS,
          exportTimeoutMillis: exportTimeoutMs,
        }),
      ],
    });
    this.#tracer = this.#provider.getTracer("hop", version);
  }

  /** Undefined, and counted, when too many wait already. Whoever begins a span ends it. */
  begin(name: string, kind: SpanKind, attributes: Attributes, place: Place = ROOT_CONTEXT): Span | undefined {
    if (this.#open >= this.#options.maxQueued) {
      this.#options.onSpans("queue_full", 1);
      return undefined;
    }
    this.#open++;
    return this.#tracer.startSpan(name, { kind, attributes }, place);
  }

  /** Sends what waits, within the deadline. */
  async close(deadlineMs: number): Promise<void> {
    try {
      await withDeadline(this.#provider.shutdown(), deadlineMs, "exporting the last spans");
    } catch (error) {
      // Spans are lost with the collector that does not take them, and were counted.
      if (!(error instanceof Error)) throw error;
    }
  }

  #counting(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans: ReadableSpan[], done: (result: ExportResult) => void) =>
        exporter.export(spans, (result) => {
          this.#open -= spans.length;
          const taken = result.code === ExportResultCode.SUCCESS;
          this.#options.onSpans(taken ? "exported" : "export_failed", spans.length);
          done(result);
        }),
      shutdown: () => exporter.shutdown(),
    };
  }
}

/** The place below a span. */
export function below(span: Span): Place {
  return trace.setSpan(ROOT_CONTEXT, span);
}

/** As a W3C traceparent, for another process. */
export function traceparentOf(span: Span): string {
  const { traceId, spanId } = span.spanContext();
  return `00-${traceId}-${spanId}-01`;
}

/** What a W3C traceparent says; undefined when it is none. */
export function readTraceparent(text: string): { place: Place; sampled: boolean } | undefined {
  const parent = parseTraceParent(text);
  if (parent === null) return undefined;
  const place = trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
  return { place, sampled: (parent.traceFlags & 1) === 1 };
}
