// Errors at the boundary: the one place where a failure becomes an HTTP answer (RFC 9457).
import { AppError, type ErrorCode, type FieldError } from "../lib/errors.ts";
import { ALWAYS, DATA_POLICY } from "./security-headers.ts";

const STATUS: Record<ErrorCode, number> = {
  MALFORMED_JSON: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  LINK_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  CODE_TAKEN: 409,
  LINK_GONE: 410,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INVALID: 422,
  IDEMPOTENCY_MISMATCH: 422,
  RATE_LIMITED: 429,
  TEMPORARILY_UNAVAILABLE: 503,
};

const TITLE: Record<ErrorCode, string> = {
  MALFORMED_JSON: "The body is not JSON",
  UNAUTHENTICATED: "An API key is needed",
  FORBIDDEN: "The API key may not do this",
  NOT_FOUND: "There is nothing here",
  LINK_NOT_FOUND: "There is no such link",
  METHOD_NOT_ALLOWED: "This method is not allowed here",
  REQUEST_TIMEOUT: "The request took too long to arrive",
  CODE_TAKEN: "The code is taken",
  LINK_GONE: "The link is gone",
  BODY_TOO_LARGE: "The body is too large",
  UNSUPPORTED_MEDIA_TYPE: "The body must be JSON",
  INVALID: "The request is not valid",
  IDEMPOTENCY_MISMATCH: "The Idempotency-Key was used for another request",
  RATE_LIMITED: "Too many requests",
  TEMPORARILY_UNAVAILABLE: "Not available at the moment",
};

/** Seconds after which a 503 is worth another try. */
const RETRY_AFTER_SECONDS = 2;

export interface Problem {
  readonly status: number;
  readonly code: ErrorCode | "INTERNAL";
  readonly title: string;
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
}

/** What a caller may know of an error. Anything that is not an AppError says nothing but its request id. */
export function describeProblem(error: unknown): Problem {
  if (!(error instanceof AppError))
    return { status: 500, code: "INTERNAL", title: "Something went wrong in hop" };
  return {
    status: STATUS[error.code],
    code: error.code,
    title: TITLE[error.code],
    detail: error.message,
    ...(error.fields.length > 0 && { errors: error.fields }),
  };
}

/** Headers that belong to a problem, whatever its body looks like. */
export function problemHeaders(problem: Problem, requestId: string): Record<string, string> {
  return {
    "Cache-Control": "no-store",
    "X-Request-Id": requestId,
    ...(problem.status === 503 && { "Retry-After": String(RETRY_AFTER_SECONDS) }),
    ...(problem.status === 401 && { "WWW-Authenticate": 'Bearer realm="hop"' }),
  };
}

export function problemResponse(
  error: unknown,
  requestId: string,
  extra: Readonly<Record<string, string>> = {},
): Response {
  const problem = describeProblem(error);
  return new Response(JSON.stringify({ type: "about:blank", ...problem, requestId }), {
    status: problem.status,
    headers: {
      "Content-Type": "application/problem+json",
      "Content-Security-Policy": DATA_POLICY,
      ...ALWAYS,
      ...problemHeaders(problem, requestId),
      ...extra,
    },
  });
}
