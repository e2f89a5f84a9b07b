// Opens the read replica that the configuration names, in front of the primary's lookups.
import { Counter, Gauge, type Registry } from "prom-client";
import type { Config } from "./config.ts";
import { systemClock } from "./lib/clock.ts";
import { withDeadline } from "./lib/deadline.ts";
import { reasonOf } from "./lib/errors.ts";
import type { Log } from "./lib/log.ts";
import { repeat } from "./lib/loop.ts";
import { type Position, ReplicaRule } from "./links/replica-rule.ts";
import { LOOKUP_OUTCOMES, ReplicatedLookup } from "./links/replicated-lookup.ts";
import type { LookupBounds, RouteLookup, RouteSource } from "./links/resolve.ts";
import { databaseAddress } from "./open-storage.ts";
import { type Database, openDatabase } from "./storage/postgres/database.ts";
import { PostgresReplica, primaryPosition } from "./storage/postgres/replica.ts";
import { watchPool } from "./storage/postgres/watched-pool.ts";

/** What has to be told of changes before a lookup may follow from them. */
export interface ReplicaReads {
  readonly source: RouteLookup;
  changed(code: string): void;
  /** Any link may have changed. */
  gap(): void;
  /** Whether changes are heard. */
  hears(hearing: boolean): void;
}

export interface ReplicaParts {
  readonly config: Config;
  readonly url: string;
  readonly primarySql: Database;
  /** Lookups at the primary, within the bounds given here. */
  readonly primary: (bounds: LookupBounds) => RouteSource;
  readonly bounds: LookupBounds;
  readonly registry: Registry;
  readonly log: Log;
}

/** One for lookups, one for checks. */
const CONNECTIONS = 2;
const CLOSE_TIMEOUT_SECONDS = 1;
/** A replica that is silent for this long gets new connections. */
const DEADLINE_MS = 3_000;

/** Does not wait for the replica: until it has answered a check, everything is looked up at the primary. */
export function openReplica(parts: ReplicaParts, started: AsyncDisposableStack): ReplicaReads {
  const { config, bounds, log } = parts;
  const instruments = createReplicaInstruments(parts.registry);
  const rule = new ReplicaRule({
    clock: systemClock,
    maxLagMs: config.replicaLagMaxMs,
    maxChanges: config.replicaChangesMax,
  });
  const replicaSql = openReplicaPool(parts, started);
  const replica = new PostgresReplica(replicaSql);
  // A lookup may ask the replica, then the primary, then the replica again because it needs to.
  const primaryMs = bounds.timeoutMs / 2;
  const lookup = new ReplicatedLookup({
    primary: parts.primary({ ...bounds, timeoutMs: primaryMs }),
    replica,
    rule,
    bounds: { ...bounds, timeoutMs: config.replicaTimeoutMs },
    neededTimeoutMs: Math.max(1, bounds.timeoutMs - primaryMs - config.replicaTimeoutMs),
    onLookup: (source, outcome) => instruments.lookups.inc({ source, result: outcome }),
  });
  const say = logChanges(log);
  const check = async () => {
    const { replayed, problem } = await checkReplica(parts, replica, { rule, lookup, primaryMs });
    lookup.replicaIsAt(replayed);
    const lagMs = rule.lagMs(replayed);
    instruments.lag.set(lagMs / 1_000);
    say(problem ?? describeLag(lagMs, config.replicaLagMaxMs));
  };
  const checks = repeat(config.replicaCheckMs, check, (error) =>
    log.error({ err: error }, "the replica cannot be checked"),
  );
  started.defer(() => checks.stop());
  return {
    source: lookup,
    changed: (code) => rule.changed(code),
    gap: () => rule.gap(),
    hears: (hearing) => rule.hears(hearing),
  };
}

/** Asks both how far they are, the primary first, so that a replica that is up to date is seen to be. */
async function checkReplica(
  { config, primarySql }: ReplicaParts,
  replica: PostgresReplica,
  { rule, lookup, primaryMs }: { rule: ReplicaRule; lookup: ReplicatedLookup; primaryMs: number },
): Promise<{ replayed?: Position; problem?: string }> {
  let cluster: string | undefined;
  try {
    await rule.sample(async () => {
      const primary = await withDeadline(primaryPosition(primarySql), primaryMs, "asking the primary");
      cluster = primary.cluster;
      return primary.position;
    });
    lookup.primaryIsBack();
  } catch {
    // Without samples the replica is soon no longer used, whatever the reason is; redirects say that the primary is away.
  }
  try {
    const asked = await withDeadline(replica.position(), config.replicaTimeoutMs, "asking the replica");
    if (asked.position === undefined) return { problem: "it is not a replica" };
    if (cluster !== undefined && cluster !== asked.cluster)
      return { problem: "it is a replica of another server than HOP_DATABASE_URL" };
    return { replayed: asked.position };
  } catch (error) {
    return { problem: reasonOf(error) };
  }
}

function openReplicaPool({ config, url, log }: ReplicaParts, started: AsyncDisposableStack): Database {
  // Its files are read once: a pool that is opened again must not fail for them.
  const address = databaseAddress("HOP_DATABASE_READ_URL", url);
  const open = () =>
    openDatabase({
      address,
      connections: CONNECTIONS,
      statementTimeoutMs: config.statementTimeoutMs,
      applicationName: "hop replica",
    });
  const pool = watchPool(open, DEADLINE_MS, log);
  started.defer(() => pool.close(CLOSE_TIMEOUT_SECONDS));
  return pool.sql;
}

function describeLag(lagMs: number, maxMs: number): string | undefined {
  if (lagMs <= maxMs) return undefined;
  return lagMs === Infinity ? "how far behind it is cannot be told" : "it is too far behind";
}

/** One line when the replica is used again, and one for each new reason why it is not. */
function logChanges(log: Log): (problem: string | undefined) => void {
  let last: string | undefined = "it was not asked yet";
  return (problem) => {
    if (problem === last) return;
    last = problem;
    if (problem === undefined) log.info({}, "the read replica is used");
    else log.warn({ reason: problem }, "the read replica is not used; links are looked up at the primary");
  };
}

/** The metrics of a read replica, for processes that have one. */
export function createReplicaInstruments(registry: Registry) {
  const lag = new Gauge({
    name: "hop_replica_lag_seconds",
    help: "How far the read replica is behind at most; +Inf when it cannot be told",
    registers: [registry],
    aggregator: "max",
  });
  lag.set(Number.POSITIVE_INFINITY);
  const lookups = new Counter({
    name: "hop_lookups_total",
    help: "Lookups of links with a read replica; outdated = not used, needed = used because the primary was away",
    labelNames: ["source", "result"],
    registers: [registry],
  });
  for (const [source, results] of Object.entries(LOOKUP_OUTCOMES)) {
    for (const result of results) lookups.inc({ source, result }, 0);
  }
  return { lag, lookups };
}
