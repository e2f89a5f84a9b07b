// Expected failures: one class, a closed set of codes, mapped to HTTP once (http/problem.ts). And what an error says, of whatever kind.

/** Every failure that hop expects. The names are part of the HTTP interface. */
export type ErrorCode =
  | "MALFORMED_JSON"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "LINK_NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "REQUEST_TIMEOUT"
  | "CODE_TAKEN"
  | "LINK_GONE"
  | "BODY_TOO_LARGE"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "INVALID"
  | "IDEMPOTENCY_MISMATCH"
  | "RATE_LIMITED"
  | "TEMPORARILY_UNAVAILABLE";

/** One thing wrong with one input field; `path` is dotted, as in `tags.3`. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** A failure hop expects and can explain. Anything else that is thrown is a bug and becomes a bare 500. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly fields: readonly FieldError[];

  /** @param message a sentence for the caller, without secrets; it is shown to API users. */
  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; fields?: readonly FieldError[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? [];
  }
}

/** INVALID for a single field: what is wrong and how to mend it. */
export function invalid(path: string, message: string): AppError {
  return new AppError("INVALID", `${path}: ${message}`, { fields: [{ path, message }] });
}

/** What was thrown, in words: its message, or whatever it is as text. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For operators: what is behind an expected failure, where the failure names it; else as `errorMessage`. */
export function reasonOf(error: unknown): string {
  return errorMessage(error instanceof AppError ? (error.cause ?? error) : error);
}

/** What happened and, in brackets, what is behind it: for whoever typed the command. API users get the message alone. */
export function explain(error: unknown): string {
  const [message, reason] = [errorMessage(error), reasonOf(error)];
  return message === reason ? message : `${message} (${reason})`;
}
