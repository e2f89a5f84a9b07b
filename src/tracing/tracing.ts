// One trace from a redirect over its click's batch to the transaction that stores it, across the queue.
import { type Span, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { Click, ClickBatch } from "../clicks/click.ts";
import type { ClickStore } from "../clicks/ports.ts";
import type { Asked } from "../lib/headers.ts";
import type { RedirectSpan, RedirectTracer } from "../lib/trace.ts";
import { below, readTraceparent, type Spans, traceparentOf } from "./spans.ts";

export interface TracingOptions {
  readonly spans: Spans;
  /** Share of the redirects that are traced unless their caller has decided. */
  readonly sample: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Clicks of one batch that are followed further; with a low sample there is rarely more than one. */
export const FOLLOWED_MAX = 16;

export class Tracing implements RedirectTracer {
  readonly #options: TracingOptions;
  /** Spans of redirects by their clicks, until these are batched or forgotten. */
  readonly #followed = new WeakMap<object, Span>();

  constructor(options: TracingOptions) {
    this.#options = options;
  }

  /** A caller's decision in `traceparent` is respected. No address, query or header gets into a span. */
  start(request: Asked, code: string): RedirectSpan | undefined {
    const { spans, sample, random } = this.#options;
    const header = request.headers.get("traceparent");
    const parent = header === null ? undefined : readTraceparent(header);
    if (!(parent === undefined ? random() < sample : parent.sampled)) return undefined;
    const { method } = request;
    const attributes = { "http.request.method": method, "http.route": "/:code", "hop.code": code };
    const span = spans.begin(`${method} /:code`, SpanKind.SERVER, attributes, parent?.place);
    if (span === undefined) return undefined;
    return {
      follow: (click) => {
        span.setAttribute("hop.link_id", click.linkId);
        this.#followed.set(click, span);
      },
      end: (status) => {
        span.setAttribute("http.response.status_code", status);
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
        span.end();
      },
    };
  }

  /**
   * The same store, whose work is spans: "append clicks" where a queue takes them, "store clicks" where Postgres does. Batches
   * pass the traces on, so that a worker's spans are below.
   */
  around(store: ClickStore, step: "append" | "store"): ClickStore {
    return {
      storeBatches: (batches) => this.#traced(batches, step, (followed) => store.storeBatches(followed)),
      closeProducer: (producer, lastSeq, dropped) => store.closeProducer(producer, lastSeq, dropped),
    };
  }

  async #traced(
    batches: readonly ClickBatch[],
    step: "append" | "store",
    work: (batches: readonly ClickBatch[]) => Promise<number>,
  ): Promise<number> {
    const begun: Span[] = [];
    const followed = batches.map((batch) => {
      const spans = this.#beginFor(batch, step);
      begun.push(...spans);
      return spans.length === 0 ? batch : { ...batch, traces: spans.map(traceparentOf) };
    });
    try {
      return await work(followed);
    } catch (error) {
      for (const span of begun) span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      for (const span of begun) span.end();
    }
  }

  #beginFor(batch: ClickBatch, step: "append" | "store"): Span[] {
    const places = [...(batch.traces ?? []).map(placeOf), ...this.#placesOf(batch.clicks)];
    const attributes = {
      "hop.batch.producer": batch.producer.id,
      "hop.batch.seq": batch.seq,
      "hop.batch.clicks": batch.clicks.length,
    };
    const kind = step === "append" ? SpanKind.PRODUCER : SpanKind.CONSUMER;
    return places
      .slice(0, FOLLOWED_MAX)
      .map((place) => place && this.#options.spans.begin(`${step} clicks`, kind, attributes, place))
      .filter((span) => span !== undefined);
  }

  #placesOf(clicks: readonly Click[]) {
    return clicks.flatMap((click) => {
      const span = this.#followed.get(click);
      return span === undefined ? [] : [below(span)];
    });
  }
}

function placeOf(traceparent: string) {
  return readTraceparent(traceparent)?.place;
}
