// Where links are looked up: at the primary, or at a read replica with the primary behind it.
import type { Config } from "./config.ts";
import type { Instruments } from "./instruments.ts";
import type { Log } from "./lib/log.ts";
import type { LookupBounds, RouteSource } from "./links/resolve.ts";
import { openReplica, type ReplicaReads } from "./open-replica.ts";
import type { Storage } from "./open-storage.ts";

export interface Lookups extends ReplicaReads {
  /** Lookups depend on hearing of changes, with or without a cache. */
  readonly replicated: boolean;
  /** How long an answer may be kept, so that with its own age it is no older than HOP_CACHE_TTL_MS. */
  readonly cacheTtlMs: number;
}

interface LookupParts {
  readonly config: Config;
  readonly storage: Pick<Storage, "hotSql">;
  readonly instruments: Pick<Instruments, "registry">;
  readonly log: Log;
}

/** @param primary opens lookups at the primary, within the bounds that it is given */
export function openLookups(
  { config, storage, instruments, log }: LookupParts,
  bounds: LookupBounds,
  started: AsyncDisposableStack,
  primary: (bounds: LookupBounds) => RouteSource,
): Lookups {
  const url = config.databaseReadUrl;
  if (url === undefined) {
    return { source: primary(bounds), replicated: false, cacheTtlMs: config.cacheTtlMs, ...INDIFFERENT };
  }
  const reads = openReplica(
    { config, url, primarySql: storage.hotSql, primary, bounds, registry: instruments.registry, log },
    started,
  );
  return { ...reads, replicated: true, cacheTtlMs: config.cacheTtlMs - config.replicaLagMaxMs };
}

/** The primary is never behind, so nothing has to be told to its lookups. */
const INDIFFERENT = {
  changed() {},
  gap() {},
  hears() {},
};
