// The rate limits, what they may take, and the other bounds that keep strangers from taking everything.

import { type Bound, bound, HOUR_MS, ms } from "./bounds.ts";
import { integer, type Kind } from "./kinds.ts";

/** A rate as a row of the variables table; 0 turns the limit off. */
interface Rate {
  readonly name: string;
  readonly group: "Rate limits";
  readonly kind: Kind<number>;
  readonly default: string;
  readonly doc: string;
}

function perMinute(name: string, standard: number, doc: string): Rate {
  const kind = integer(0, 1_000_000_000, "requests a minute");
  return { name, group: "Rate limits", kind, default: String(standard), doc: `${doc}; 0 is no limit` };
}

export const LIMIT_BOUNDS = {
  // Both above what one process can make: keys are given out by the operator, who lowers these when others use them.
  limitKeyWrites: perMinute(
    "HOP_LIMIT_KEY_WRITES",
    600_000,
    "requests with one API key that make, change or delete links",
  ),
  limitAddressWrites: perMinute("HOP_LIMIT_ADDRESS_WRITES", 600_000, "the same from one client address"),
  limitAddressFailures: perMinute(
    "HOP_LIMIT_ADDRESS_FAILURES",
    600,
    "requests from one client address without a valid API key; a valid key is never refused for them",
  ),
  // 50 a second find one of a million links among 55^7 codes every 8 hours.
  limitAddressMisses: perMinute(
    "HOP_LIMIT_ADDRESS_MISSES",
    3_000,
    "requests from one client address for codes that do not exist; known links are never refused for them",
  ),
  limitEntries: bound(
    "HOP_LIMIT_ENTRIES",
    "entries",
    100_000,
    100_000_000,
    "addresses, and keys, that one process counts for each limit",
  ),
  limitTimeoutMs: ms(
    "HOP_LIMIT_TIMEOUT_MS",
    100,
    HOUR_MS,
    "Redis has this long to count a request; then this process counts it alone",
  ),
  apiRequestsMax: bound(
    "HOP_API_REQUESTS_MAX",
    "requests",
    1_000,
    1_000_000,
    "API requests answered at once; more get 503. Redirects and health are not counted",
  ),
  healthTimeoutMs: ms(
    "HOP_HEALTH_TIMEOUT_MS",
    500,
    HOUR_MS,
    "/readyz calls a dependency down when it does not answer within this; less than what probers wait",
  ),
} as const satisfies Record<string, Bound | Rate>;
