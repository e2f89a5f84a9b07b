// The answer when a short link or its preview cannot be given: a page for people, a problem document for programs.
import { AppError } from "../lib/errors.ts";
import type { Asked } from "../lib/headers.ts";
import { problemPage } from "./pages.ts";
import { describeProblem, type Problem, problemResponse } from "./problem.ts";
import type { RateLimits } from "./rate-limit.ts";

export interface Refusal {
  readonly code: Problem["code"];
  readonly response: Response;
}

/** Never rejects. The client's address is counted when there is no such link. */
export type Refuse = (
  error: unknown,
  request: Asked,
  clientIp: string,
  requestId: string,
) => Promise<Refusal>;

export interface RefuseOptions {
  readonly limits: Pick<RateLimits, "countMiss">;
  /** For every answer, such as Strict-Transport-Security. */
  readonly headers: Readonly<Record<string, string>>;
  readonly onBug: (error: unknown, requestId: string) => void;
}

/** Limits are asked here, behind the lookup: a link that exists never gets here and pays nothing for them. */
export function createRefuse({ limits, headers, onBug }: RefuseOptions): Refuse {
  return async (error, request, clientIp, requestId) => {
    if (!(error instanceof AppError)) onBug(error, requestId);
    const missed = error instanceof AppError && error.code === "LINK_NOT_FOUND";
    const verdict = missed ? await limits.countMiss(clientIp) : undefined;
    const shown = verdict?.refusal ?? error;
    const extra = { ...headers, ...verdict?.headers };
    const problem = describeProblem(shown);
    const response = wantsHtml(request)
      ? problemPage(problem, requestId, extra)
      : problemResponse(shown, requestId, extra);
    return { code: problem.code, response };
  };
}

/** Browsers ask for HTML by name; programs that accept anything get a problem document. */
export function wantsHtml(request: Asked): boolean {
  return request.headers.get("accept")?.includes("text/html") ?? false;
}
