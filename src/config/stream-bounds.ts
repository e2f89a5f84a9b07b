// The bounds of Redis, of the stream of clicks and of the workers that store it.

import { BYTES_MAX, bound, HOUR_MS, ms, type Bound } from "./bounds.ts";

export const STREAM_BOUNDS = {
  redisTimeoutMs: ms("HOP_REDIS_TIMEOUT_MS", 1_000, HOUR_MS, "a command to Redis is given up after this"),
  redisConnectTimeoutMs: ms(
    "HOP_REDIS_CONNECT_TIMEOUT_MS",
    1_000,
    HOUR_MS,
    "a connection to Redis is given up after this and tried again",
  ),
  streamWaitMs: ms(
    "HOP_STREAM_WAIT_MS",
    200,
    HOUR_MS,
    "replicas have this long to confirm a batch, with HOP_STREAM_WAIT_REPLICAS",
  ),
  streamMaxBytes: bound(
    "HOP_STREAM_MAX_BYTES",
    "bytes",
    536_870_912,
    BYTES_MAX,
    "size of the stream in Redis; above it nothing is appended and nothing is dropped (hop_stream_bytes is near)",
  ),
  streamResendMs: ms(
    "HOP_STREAM_RESEND_MS",
    3_000,
    HOUR_MS,
    "what Redis confirmed this lately is sent again when its master was restarted, replaced or emptied",
  ),
  streamResendBytes: bound(
    "HOP_STREAM_RESEND_BYTES",
    "bytes",
    16_777_216,
    BYTES_MAX,
    "memory of one process for what may be sent again",
  ),
  streamBehindEntries: bound(
    "HOP_STREAM_BEHIND_ENTRIES",
    "batches",
    5_000,
    1_000_000_000,
    "with more than these in the stream the workers are behind, and batches are sent HOP_STREAM_PAUSE_MS apart, so that there are fewer and larger ones",
  ),
  streamPauseMs: ms(
    "HOP_STREAM_PAUSE_MS",
    5,
    1_000,
    "while workers are behind, a batch follows the one before after this, or after half of HOP_CLICKS_WAIT_MS if that is less",
  ),
  streamCheckMs: ms(
    "HOP_STREAM_CHECK_MS",
    1_000,
    HOUR_MS,
    "the stream's size and its master are looked at this often",
  ),
  streamBlockMs: ms("HOP_STREAM_BLOCK_MS", 500, HOUR_MS, "one read of a worker waits this long for clicks"),
  streamClaimIdleMs: ms(
    "HOP_STREAM_CLAIM_IDLE_MS",
    30_000,
    HOUR_MS,
    "a batch that a worker has not confirmed for this long goes to another",
  ),
  streamDeliveriesMax: bound(
    "HOP_STREAM_DELIVERIES_MAX",
    "deliveries",
    5,
    1_000_000,
    "a batch that Postgres refuses this often is put aside (hop dead list)",
  ),
  ingestClicksMax: bound(
    "HOP_INGEST_CLICKS_MAX",
    "clicks",
    5_000,
    10_000_000,
    "clicks that a worker stores in one transaction; more are not faster and take more memory",
  ),
  ingestBytesMax: bound(
    "HOP_INGEST_BYTES_MAX",
    "bytes",
    1_048_576,
    BYTES_MAX,
    "the same in bytes of the stream; decoded they take several times as much",
  ),
  ingestPauseMs: ms(
    "HOP_INGEST_PAUSE_MS",
    100,
    HOUR_MS,
    "a worker that has emptied the stream waits this long, so that its next transaction is larger",
  ),
  ingestCollectBytes: bound(
    "HOP_INGEST_COLLECT_BYTES",
    "bytes",
    2_097_152,
    BYTES_MAX,
    "above HOP_INGEST_MEMORY_BYTES a worker collects its garbage after so many bytes of the stream, which bounds its memory",
  ),
  ingestMemoryBytes: bound(
    "HOP_INGEST_MEMORY_BYTES",
    "bytes",
    150_994_944,
    BYTES_MAX,
    "resident memory below which a worker leaves its garbage to the runtime",
  ),
} as const satisfies Record<string, Bound>;
