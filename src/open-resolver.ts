// Wires what finds the link of a code: Postgres, with the caches that the configuration names in front of it.
import type { Config } from "./config.ts";
import type { Instruments } from "./instruments.ts";
import { Breaker } from "./lib/breaker.ts";
import { systemClock } from "./lib/clock.ts";
import { DeadlineError, timely } from "./lib/deadline.ts";
import type { Log } from "./lib/log.ts";
import { batchedLookup, directLookup, type FindingSource, type Resolver, uncached } from "./links/resolve.ts";
import { type CacheResult, RouteCache } from "./links/route-cache.ts";
import { SharedRouteCache } from "./links/shared-cache.ts";
import { Trust } from "./links/trust.ts";
import { openLookups } from "./open-lookups.ts";
import type { ReplicaReads } from "./open-replica.ts";
import { complain, redisAddress } from "./open-stream.ts";
import type { Storage } from "./open-storage.ts";
import { PostgresLinkStore } from "./storage/postgres/links.ts";
import { LinkListener } from "./storage/postgres/listener.ts";
import { connected, onServerLost, openRedis } from "./storage/redis/client.ts";
import { RedisRouteCopies } from "./storage/redis/route-copies.ts";

export interface ResolverParts {
  readonly config: Config;
  readonly storage: Storage;
  readonly instruments: Instruments;
  readonly log: Log;
}

/** After a failed lookup, expired entries are served without another try for this long. */
const RETRY_AFTER_FAILURE_MS = 500;
/** How often a copy is looked for that another process is about to make: a lookup takes a millisecond or two. */
const LEASE_POLL_MS = 3;

/** Written out, because every redirect counts one: joining the words each time would cost more than the counting. */
const MEMORY_LABELS = {
  hit: "memory hit",
  negative_hit: "memory negative_hit",
  miss: "memory miss",
  stale: "memory stale",
} as const satisfies Record<CacheResult, string>;

/** Caches depend on hearing of changed links, and so do lookups at a replica. */
export function listensForChanges({ cache, databaseReadUrl }: Config): boolean {
  return cache !== "off" || databaseReadUrl !== undefined;
}

/** `invalidate` is for changes that this process makes, so that it need not wait to hear of them. */
export async function openResolver(
  parts: ResolverParts,
  started: AsyncDisposableStack,
): Promise<{ resolver: Resolver; invalidate: (code: string) => void }> {
  const { config, storage } = parts;
  const store = new PostgresLinkStore(storage.hotSql);
  const bounds = {
    timeoutMs: config.lookupTimeoutMs,
    maxBatch: config.batchMax,
    maxQueued: config.lookupQueueMax,
  };
  const { cache } = config;
  const lookups = openLookups(parts, bounds, started, (within) =>
    cache === "off" ? directLookup(store, within) : batchedLookup(store, within),
  );
  const tiered = cache === "redis" || cache === "tiered";
  const shared = tiered ? await openSharedCache(parts, lookups, started) : undefined;
  const source = shared ?? lookups.source;
  const memory = cache === "memory" || cache === "tiered" ? createMemoryCache(parts, source) : undefined;
  if (listensForChanges(config)) await listen(parts, { lookups, shared, memory }, started);
  return {
    resolver: memory ?? uncached(source),
    invalidate: (code) => {
      lookups.changed(code);
      shared?.changed(code);
      memory?.invalidate(code);
    },
  };
}

function createMemoryCache({ config, instruments }: ResolverParts, source: FindingSource): RouteCache {
  return new RouteCache({
    source,
    clock: systemClock,
    random: Math.random,
    ttlMs: config.cacheTtlMs,
    maxEntries: config.cacheEntries,
    maxBytes: config.cacheBytes,
    unknownTtlMs: config.unknownTtlMs,
    maxUnknown: config.unknownEntries,
    staleAfterMs: config.staleAfterMs,
    retryAfterFailureMs: RETRY_AFTER_FAILURE_MS,
    onResult: (result) => instruments.cacheRequests.add(MEMORY_LABELS[result]),
  });
}

/** A clock that is never set. */
const now = () => performance.now();

/** Waits no longer for Redis than for a connection: until it answers, Postgres is asked. */
async function openSharedCache(
  { config, instruments, log }: ResolverParts,
  { source }: ReplicaReads,
  started: AsyncDisposableStack,
): Promise<SharedRouteCache> {
  const { cacheTimeoutMs: timeoutMs, cacheTtlMs: ttlMs } = config;
  // Apart from the stream's: behind a large batch of clicks a lookup would wait.
  const client = openRedis(redisAddress(config), "hop-cache", complain(log));
  started.defer(() => client.disconnect());
  const copies = new RedisRouteCopies(client);
  const trust = new Trust({ now, ttlMs, maxChanges: config.cacheChangesMax });
  const breaker = new Breaker({
    probe: () => timely(copies.check(), timeoutMs, "asking whether Redis is back"),
    probeEveryMs: config.cacheProbeMs,
    onOpen: (reason) => {
      instruments.breakerOpen.set(1);
      log.warn({ reason: reason.message }, "the cache in Redis is passed by until it answers in time");
    },
    onClose: () => {
      // It may have been restarted with old data, and what this process would have told it was not said.
      trust.distrust();
      instruments.breakerOpen.set(0);
      log.info({}, "the cache in Redis is used again");
    },
  });
  started.defer(() => breaker.close());
  onServerLost(client, () => breaker.fail(new Error("the connection was lost")));
  const shared = new SharedRouteCache({
    copies,
    source,
    trust,
    breaker,
    now,
    random: Math.random,
    ttlMs,
    unknownTtlMs: config.unknownTtlMs,
    timeoutMs,
    leaseMs: config.cacheLeaseMs,
    leasePollMs: LEASE_POLL_MS,
    maxBatch: config.batchMax,
    maxQueued: config.lookupQueueMax,
    onResult: (result) => instruments.cacheRequests.add(`redis ${result}`),
  });
  started.defer(() => shared.close());
  try {
    await connected(client, config.redisConnectTimeoutMs);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    breaker.fail(error);
  }
  return shared;
}

/** Who has to hear of changes. */
interface Listeners {
  readonly lookups: ReplicaReads;
  readonly shared: SharedRouteCache | undefined;
  readonly memory: RouteCache | undefined;
}

async function listen(
  { config, storage, instruments, log }: ResolverParts,
  { lookups, shared, memory }: Listeners,
  started: AsyncDisposableStack,
): Promise<void> {
  let serving = false;
  const listener = new LinkListener({
    database: {
      address: storage.address,
      statementTimeoutMs: config.statementTimeoutMs,
      applicationName: "hop listener",
    },
    sql: storage.sql,
    onChange: (code, sentAtMs, version) => {
      lookups.changed(code);
      shared?.changed(code, version);
      memory?.invalidate(code, version);
      instruments.invalidationSeconds.observe(Math.max(0, systemClock() - sentAtMs) / 1_000);
    },
    onGap: () => {
      lookups.gap();
      // What others kept in Redis before this process served anything is as good as what they serve.
      if (serving) shared?.distrust();
      memory?.expireAll();
    },
    onListening: (listening) => {
      lookups.hears(listening);
      instruments.listening.set(listening ? 1 : 0);
    },
    log,
  });
  started.defer(() => listener.close());
  await listener.listening;
  serving = true;
}
