// What the redirect reads of a request.

/** The headers that are looked at before a redirect; whoever keeps others knows more. */
export const READ_HEADERS = [
  "accept",
  "accept-language",
  "purpose",
  "referer",
  "sec-purpose",
  "traceparent",
  "user-agent",
  "x-forwarded-for",
  "x-moz",
  "x-purpose",
] as const;
export type ReadHeader = (typeof READ_HEADERS)[number];

/** Null when the request has no such header. */
export interface HeaderReader {
  get(name: ReadHeader): string | null;
}

/** As much of a request as the redirect needs; a `Request` is one. */
export interface Asked {
  readonly method: string;
  readonly headers: HeaderReader;
}
