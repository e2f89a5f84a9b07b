// The bounds of the cache in Redis.

import { bound, HOUR_MS, ms, type Bound } from "./bounds.ts";

export const CACHE_BOUNDS = {
  cacheTimeoutMs: ms(
    "HOP_CACHE_TIMEOUT_MS",
    20,
    HOUR_MS,
    "the cache in Redis is passed by when it takes longer than this, until it answers in time again",
  ),
  cacheProbeMs: ms(
    "HOP_CACHE_PROBE_MS",
    100,
    HOUR_MS,
    "a cache in Redis that is passed by is tried this often, not by redirects",
  ),
  cacheLeaseMs: ms(
    "HOP_CACHE_LEASE_MS",
    50,
    HOUR_MS,
    "while one process looks a link up, the others wait this long for its copy in Redis",
  ),
  cacheChangesMax: bound(
    "HOP_CACHE_CHANGES_MAX",
    "links",
    50_000,
    10_000_000,
    "links changed within HOP_CACHE_TTL_MS that a process remembers; with more it trusts no older copy in Redis",
  ),
} as const satisfies Record<string, Bound>;
