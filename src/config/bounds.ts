// The bounds of every queue, cache, batch, body and wait, with the variables that change them.

import { integer, type Kind } from "./kinds.ts";

export const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const BYTES_MAX = 2 ** 40;

/** A bound as a row of the variables table; `limit` is the largest value that is allowed, in `unit`. */
export interface Bound {
  readonly name: string;
  readonly group: "Bounds";
  readonly kind: Kind<number>;
  readonly default: string;
  readonly doc: string;
}

export function bound(name: string, unit: string, standard: number, limit: number, doc: string): Bound {
  return { name, group: "Bounds", kind: integer(1, limit, unit), default: String(standard), doc };
}

export const ms = (name: string, standard: number, limit: number, doc: string) =>
  bound(name, "ms", standard, limit, doc);

export const BOUNDS = {
  cacheTtlMs: ms("HOP_CACHE_TTL_MS", 60_000, DAY_MS, "a cached link is read again after this"),
  cacheEntries: bound("HOP_CACHE_ENTRIES", "links", 1_000_000, 100_000_000, "links in one process's cache"),
  cacheBytes: bound(
    "HOP_CACHE_BYTES",
    "bytes",
    134_217_728,
    BYTES_MAX,
    "size of one process's cache; a link takes some 80 bytes and its code and target",
  ),
  unknownTtlMs: ms("HOP_UNKNOWN_TTL_MS", 2_000, HOUR_MS, "an unknown code is looked up again after this"),
  unknownEntries: bound("HOP_UNKNOWN_ENTRIES", "codes", 20_000, 100_000_000, "unknown codes remembered"),
  startTimeoutMs: ms(
    "HOP_START_TIMEOUT_MS",
    30_000,
    HOUR_MS,
    "`hop serve` waits this long for its Postgres to accept connections",
  ),
  lookupTimeoutMs: ms("HOP_LOOKUP_TIMEOUT_MS", 2_000, HOUR_MS, "a redirect waits this long for its link"),
  lookupQueueMax: bound("HOP_LOOKUP_QUEUE_MAX", "lookups", 10_000, 10_000_000, "lookups waiting at once"),
  batchMax: bound("HOP_BATCH_MAX", "clicks", 2_000, 100_000, "clicks in one batch"),
  clicksQueueMax: bound("HOP_CLICKS_QUEUE_MAX", "clicks", 50_000, 10_000_000, "clicks waiting for a batch"),
  clicksTimeoutMs: ms("HOP_CLICKS_TIMEOUT_MS", 5_000, HOUR_MS, "a redirect waits this long for its click"),
  totalsIntervalMs: ms("HOP_TOTALS_INTERVAL_MS", 2_000, HOUR_MS, "stored clicks reach the totals this often"),
  dimensionsIntervalMs: ms(
    "HOP_DIMENSIONS_INTERVAL_MS",
    30_000,
    HOUR_MS,
    "totalled clicks reach dimensions and visitors this often",
  ),
  batchesMergeMs: ms(
    "HOP_BATCHES_MERGE_MS",
    600_000,
    DAY_MS,
    "the ledger's rows of batches that were stored longer ago than this are merged, this often",
  ),
  spoolBytes: bound(
    "HOP_SPOOL_BYTES",
    "bytes",
    268_435_456,
    BYTES_MAX,
    "size of one process's spool on the disk; clicks that don't fit are dropped and counted",
  ),
  createBatchMax: bound("HOP_CREATE_BATCH_MAX", "links", 500, 10_000, "links created in one batch"),
  createQueueMax: bound("HOP_CREATE_QUEUE_MAX", "links", 5_000, 1_000_000, "links waiting for a batch"),
  codeAttempts: bound("HOP_CODE_ATTEMPTS", "attempts", 10, 1_000, "codes tried until a free one is found"),
  bodyBytes: bound("HOP_BODY_BYTES", "bytes", 65_536, 2 ** 30, "size of a request body"),
  bodyTimeoutMs: ms("HOP_BODY_TIMEOUT_MS", 10_000, HOUR_MS, "a request body must arrive within this"),
  pipelineBytes: bound(
    "HOP_PIPELINE_BYTES",
    "bytes",
    65_536,
    2 ** 30,
    "a client's requests that wait behind an answer on the fast path; then no more of them are read",
  ),
  // Bun.serve accepts 255, and the server adds 4.
  idleTimeoutSeconds: bound(
    "HOP_IDLE_TIMEOUT_SECONDS",
    "seconds",
    30,
    251,
    "a connection that says nothing between requests is kept for this long, and closed within 8 seconds after; headers that were begun have some 10",
  ),
  statementTimeoutMs: ms(
    "HOP_STATEMENT_TIMEOUT_MS",
    10_000,
    HOUR_MS,
    "Postgres stops a statement after this, and ends a transaction that rests for as long",
  ),
  shutdownTimeoutMs: ms(
    "HOP_SHUTDOWN_TIMEOUT_MS",
    10_000,
    HOUR_MS,
    "requests and clicks in flight may take this long to finish when hop stops",
  ),
} as const satisfies Record<string, Bound>;
