// GET /:code: parse, resolve, record, answer. No framework, one screen.
import type { ClickObserver } from "../clicks/observer.ts";
import type { ClickRecorder } from "../clicks/recorder.ts";
import { isPrefetch } from "../clicks/visitor.ts";
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import { isGone, type Route } from "../links/link.ts";
import type { Resolver } from "../links/resolve.ts";
import type { Refuse } from "./refusal.ts";

/** How a redirect request ended; the label of hop_redirects_total. */
export const REDIRECT_OUTCOMES = [
  "redirected",
  "not_counted",
  "not_found",
  "gone",
  "rate_limited",
  "unavailable",
  "failed",
] as const;
export type RedirectOutcome = (typeof REDIRECT_OUTCOMES)[number];

export interface RedirectOptions {
  readonly resolver: Resolver;
  readonly recorder: ClickRecorder;
  readonly observer: ClickObserver;
  readonly clock: Clock;
  readonly onDone: (outcome: RedirectOutcome, startedAtMs: number) => void;
  readonly refuse: Refuse;
}

export type Redirect = (
  request: Request,
  code: string,
  clientIp: string,
  requestId: string,
) => Promise<Response>;

/** The answer waits until its click is durable: what a client received as a redirect has been counted. */
export function createRedirect(options: RedirectOptions): Redirect {
  const { resolver, recorder, observer, clock, onDone, refuse } = options;
  return async (request, code, clientIp, requestId) => {
    const startedAtMs = performance.now();
    try {
      const route = resolver.peek(code) ?? (await resolver.find(code));
      const nowMs = clock();
      if (route === undefined)
        throw new AppError("LINK_NOT_FOUND", `There is no link with the code "${code}".`);
      if (isGone(route, nowMs))
        throw new AppError("LINK_GONE", `The link "${code}" was deleted or has expired.`);
      const counted = request.method === "GET" && !isPrefetch(request.headers);
      if (counted) await recorder.append(observer.observe(route.linkId, nowMs, clientIp, request.headers));
      onDone(counted ? "redirected" : "not_counted", startedAtMs);
      return redirectTo(route, requestId);
    } catch (error) {
      const { code: problem, response } = await refuse(error, request, clientIp, requestId);
      onDone(OUTCOMES[problem] ?? "failed", startedAtMs);
      return response;
    }
  };
}

const OUTCOMES: Partial<Record<string, RedirectOutcome>> = {
  LINK_NOT_FOUND: "not_found",
  LINK_GONE: "gone",
  RATE_LIMITED: "rate_limited",
  TEMPORARILY_UNAVAILABLE: "unavailable",
};

function redirectTo(route: Route, requestId: string): Response {
  return new Response(null, {
    status: route.status,
    headers: { Location: route.target, "Cache-Control": "private, no-store", "X-Request-Id": requestId },
  });
}
