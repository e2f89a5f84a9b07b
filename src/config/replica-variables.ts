// The variables of the read replica.

import { bound, HOUR_MS, ms, type Bound } from "./bounds.ts";
import { postgresUrl } from "./kinds.ts";

export const REPLICA_VARIABLES = {
  databaseReadUrl: {
    name: "HOP_DATABASE_READ_URL",
    group: "Storage",
    kind: postgresUrl,
    unset: "no replica",
    secret: true,
    doc: "a streaming replica of HOP_DATABASE_URL; redirects look links up there, and at the primary what it may not know yet",
  },
} as const;

export const REPLICA_BOUNDS = {
  replicaLagMaxMs: ms(
    "HOP_REPLICA_LAG_MAX_MS",
    5_000,
    HOUR_MS,
    "a replica that is further behind is not used; HOP_CACHE_TTL_MS has to be more, and is shortened by this",
  ),
  replicaTimeoutMs: ms(
    "HOP_REPLICA_TIMEOUT_MS",
    100,
    HOUR_MS,
    "a lookup at the replica is given up after this and made at the primary",
  ),
  replicaCheckMs: ms(
    "HOP_REPLICA_CHECK_MS",
    500,
    HOUR_MS,
    "primary and replica are asked this often how far they are",
  ),
  replicaChangesMax: bound(
    "HOP_REPLICA_CHANGES_MAX",
    "links",
    50_000,
    10_000_000,
    "links changed lately that are looked up at the primary; with more, all are for a moment",
  ),
} as const satisfies Record<string, Bound>;
