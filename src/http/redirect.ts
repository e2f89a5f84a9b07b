// GET /:code: parse, resolve, record, answer. No framework, one screen.
import type { ClickObserver } from "../clicks/observer.ts";
import type { ClickRecorder } from "../clicks/recorder.ts";
import { isPrefetch } from "../clicks/visitor.ts";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { RedirectTracer } from "../lib/trace.ts";
import { isGone, type Route } from "../links/link.ts";
import type { Resolver } from "../links/resolve.ts";
import { problemPage } from "./pages.ts";
import { describeProblem, problemResponse } from "./problem.ts";

/** How a redirect request ended; the label of hop_redirects_total. */
export const REDIRECT_OUTCOMES = [
  "redirected",
  "not_counted",
  "not_found",
  "gone",
  "unavailable",
  "failed",
] as const;
export type RedirectOutcome = (typeof REDIRECT_OUTCOMES)[number];

export interface RedirectOptions {
  readonly resolver: Resolver;
  readonly recorder: ClickRecorder;
  readonly observer: ClickObserver;
  readonly clock: Clock;
  /** Undefined when tracing is off. */
  readonly tracer?: RedirectTracer | undefined;
  readonly onDone: (outcome: RedirectOutcome, startedAtMs: number) => void;
  readonly onBug: (error: unknown, requestId: string) => void;
}

export type Redirect = (
  request: Request,
  code: string,
  clientIp: string,
  requestId: string,
) => Promise<Response>;

/** The answer waits until its click is durable: what a client received as a redirect has been counted. */
export function createRedirect(options: RedirectOptions): Redirect {
  const { resolver, recorder, observer, clock, tracer, onDone } = options;
  return async (request, code, clientIp, requestId) => {
    const startedAtMs = performance.now();
    const span = tracer?.start(request, code);
    try {
      const route = resolver.peek(code) ?? (await resolver.find(code));
      const nowMs = clock();
      if (route === undefined)
        throw new AppError("LINK_NOT_FOUND", `There is no link with the code "${code}".`);
      if (isGone(route, nowMs))
        throw new AppError("LINK_GONE", `The link "${code}" was deleted or has expired.`);
      const counted = request.method === "GET" && !isPrefetch(request.headers);
      if (counted) {
        const click = observer.observe(route.linkId, nowMs, clientIp, request.headers);
        span?.follow(click);
        await recorder.append(click);
      }
      onDone(counted ? "redirected" : "not_counted", startedAtMs);
      span?.end(route.status);
      return redirectTo(route, requestId);
    } catch (error) {
      if (!(error instanceof AppError)) options.onBug(error, requestId);
      const problem = describeProblem(error);
      onDone(OUTCOMES[problem.code] ?? "failed", startedAtMs);
      span?.end(problem.status);
      return wantsHtml(request) ? problemPage(problem, requestId) : problemResponse(error, requestId);
    }
  };
}

const OUTCOMES: Partial<Record<string, RedirectOutcome>> = {
  LINK_NOT_FOUND: "not_found",
  LINK_GONE: "gone",
  TEMPORARILY_UNAVAILABLE: "unavailable",
};

function redirectTo(route: Route, requestId: string): Response {
  return new Response(null, {
    status: route.status,
    headers: { Location: route.target, "Cache-Control": "private, no-store", "X-Request-Id": requestId },
  });
}

/** Browsers ask for HTML by name; programs that accept anything get a problem document. */
export function wantsHtml(request: Request): boolean {
  return request.headers.get("accept")?.includes("text/html") ?? false;
}
