// Several hop processes on two hosts, one Postgres and one Redis, each with doors of its own to both.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type HopProcess, startHop } from "./hop-process.ts";
import { TestRedis, type TestRedisOptions } from "./redis.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { waitFor } from "./wait-for.ts";

export interface FleetMember {
  readonly hop: HopProcess;
  readonly postgresDoor: TcpProxy;
  readonly redisDoor: TcpProxy;
  /** Of its connection for LISTEN. */
  readonly listenerPid: number;
}

export interface CacheFleet {
  readonly database: TestDatabase;
  readonly redis: TestRedis;
  readonly members: readonly FleetMember[];
  /** One more process, on the first host. */
  join(env?: Record<string, string>): Promise<FleetMember>;
  /** By the API of a member; 201 is expected. */
  create(code: string, by?: FleetMember): Promise<void>;
  stop(): Promise<void>;
}

export function targetOf(code: string): string {
  return `https://example.com/${code}`;
}

const HOSTS = 2;

/** One member for each environment, on the hosts in turn. Clicks go to Postgres, so that Redis is the cache's alone. */
export async function startFleet(
  environments: readonly Record<string, string>[],
  redisOptions: TestRedisOptions = {},
): Promise<CacheFleet> {
  const started = new AsyncDisposableStack();
  try {
    return await start(started, environments, redisOptions);
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

async function start(
  started: AsyncDisposableStack,
  environments: readonly Record<string, string>[],
  redisOptions: TestRedisOptions,
): Promise<CacheFleet> {
  const database = await createTestDatabase();
  started.defer(() => database.drop());
  const redis = await TestRedis.start(redisOptions);
  started.defer(() => redis.stop());
  const dataDirs = await Promise.all(
    Array.from({ length: HOSTS }, () => mkdtemp(join(tmpdir(), "hop-host-"))),
  );
  started.defer(async () => {
    for (const directory of dataDirs) await rm(directory, { recursive: true, force: true });
  });
  const members: FleetMember[] = [];
  const startMember = async (env: Record<string, string>): Promise<FleetMember> => {
    const { proxy: postgresDoor, url } = await database.openProxy();
    const redisDoor = await TcpProxy.open({ host: "127.0.0.1", port: redis.port });
    started.defer(() => redisDoor.close());
    const before = await listenerPids(database);
    const hop = await startHop({
      HOP_DATABASE_URL: url,
      HOP_REDIS_URL: `redis://127.0.0.1:${redisDoor.port}`,
      HOP_DATA_DIR: dataDirs[members.length % HOSTS] ?? "",
      HOP_CLICKS: "batch",
      // Tests are floods from one address.
      HOP_LIMIT_ADDRESS_MISSES: "10000000",
      // A machine that is busy with tests is not a Redis in trouble.
      HOP_CACHE_TIMEOUT_MS: "200",
      ...env,
    });
    started.defer(async () => {
      await hop.kill("SIGTERM");
    });
    const listenerPid = (await listenerPids(database)).find((pid) => !before.includes(pid)) ?? 0;
    const member = { hop, postgresDoor, redisDoor, listenerPid };
    members.push(member);
    return member;
  };
  for (const env of environments) await startMember(env);
  return {
    database,
    redis,
    members,
    join: (env = {}) => startMember(env),
    create: async (code, by = members[0]) => {
      const made = await by?.hop.api("POST", "/api/v1/links", { url: targetOf(code), code });
      if (made?.status !== 201) throw new Error(`a create was answered ${made?.status}`);
    },
    stop: () => started.disposeAsync(),
  };
}

/** Lookups of one cache tier that ended so, of all members together. */
export async function countResults(
  members: readonly FleetMember[],
  tier: "memory" | "redis",
  result: string,
): Promise<number> {
  const line = `hop_cache_requests_total{result="${result}",tier="${tier}"}`;
  const counts = await Promise.all(members.map(({ hop }) => hop.metric(line)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Until the members use Redis, or pass it by. */
export async function untilBreaker(members: readonly FleetMember[], open: 0 | 1): Promise<void> {
  await waitFor(`the breakers to say ${open}`, async () => {
    const states = await Promise.all(members.map(({ hop }) => hop.metric("hop_cache_breaker_open")));
    return states.every((state) => state === open);
  });
}

async function listenerPids(database: TestDatabase): Promise<readonly number[]> {
  const rows = await database.sql<{ pid: number }[]>`
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'hop listener'`;
  return rows.map(({ pid }) => pid);
}
