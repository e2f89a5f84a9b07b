// What a link is, and the parts of it that a redirect needs.

/** Redirect statuses a link may have (RFC 9110, 15.4). */
export const LINK_STATUSES = [301, 302, 307, 308] as const;
export type LinkStatus = (typeof LINK_STATUSES)[number];

/** Row 1 of `domains`: the host of HOP_BASE_URL. */
export const DEFAULT_DOMAIN_ID = 1;

/** A link as its owner sees it. Times are UTC. */
export interface Link {
  readonly id: number;
  readonly code: string;
  readonly url: string;
  readonly title: string | null;
  readonly tags: readonly string[];
  readonly status: LinkStatus;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly expiresAt: Date | null;
  /** Set when the link was deleted: its code answers 410 and its history stays. */
  readonly deletedAt: Date | null;
  /** Clicks stored so far, bots included. */
  readonly clicks: number;
}

/** What a redirect needs to know of a link. Small, because caches hold many. */
export interface Route {
  readonly linkId: number;
  /** Grows with every change of what a code leads to; 0 is older than any. */
  readonly version: number;
  readonly target: string;
  readonly status: LinkStatus;
  /** Milliseconds since the epoch; Infinity when the link never expires. */
  readonly expiresAtMs: number;
  readonly deleted: boolean;
}

/** Expiry is decided when a link is read; no sweeper has to run for a link to end. */
export function isGone(route: Route, nowMs: number): boolean {
  return route.deleted || route.expiresAtMs <= nowMs;
}
