// What the redirect knows of tracing: how to begin and end a span. Whoever implements it is loaded only when tracing is on.
import type { Asked } from "./headers.ts";

/** One traced redirect. */
export interface RedirectSpan {
  /** What becomes of this click later belongs to the same trace. */
  follow(click: { readonly linkId: number }): void;
  end(status: number): void;
}

export interface RedirectTracer {
  /** Undefined when this request is not traced. */
  start(request: Asked, code: string): RedirectSpan | undefined;
}
