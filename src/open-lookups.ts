// Where links are looked up: at the primary, or at a read replica with the primary behind it.
import type { Config } from "./config.ts";
import type { Instruments } from "./instruments.ts";
import type { Log } from "./lib/log.ts";
import { fresh, type LookupBounds, type RouteSource } from "./links/resolve.ts";
import { openReplica, type ReplicaReads } from "./open-replica.ts";
import type { Storage } from "./open-storage.ts";

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
): ReplicaReads {
  const url = config.databaseReadUrl;
  if (url === undefined) return { source: fresh(primary(bounds)), ...INDIFFERENT };
  return openReplica(
    { config, url, primarySql: storage.hotSql, primary, bounds, registry: instruments.registry, log },
    started,
  );
}

/** The primary is never behind, so nothing has to be told to its lookups. */
const INDIFFERENT = {
  changed() {},
  gap() {},
  hears() {},
};
