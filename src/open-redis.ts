// The connection to Redis that short commands share: rate limits and health. The stream of clicks has its own.
import type { Config } from "./config.ts";
import type { Dependency } from "./http/health.ts";
import { withDeadline } from "./lib/deadline.ts";
import type { Log } from "./lib/log.ts";
import { complain } from "./open-stream.ts";
import { openRedis, type RedisClient } from "./storage/redis/client.ts";

/** Undefined without HOP_REDIS_URL. Does not wait for Redis. */
export function openSharedRedis(
  config: Config,
  log: Log,
  started: AsyncDisposableStack,
): RedisClient | undefined {
  const { redisUrl, redisTimeoutMs, redisConnectTimeoutMs } = config;
  if (redisUrl === undefined) return undefined;
  const address = {
    url: redisUrl,
    commandTimeoutMs: redisTimeoutMs,
    connectTimeoutMs: redisConnectTimeoutMs,
  };
  const client = openRedis(address, "hop-shared", complain(log));
  started.defer(() => client.disconnect());
  return client;
}

/** Redis as something whose health can be asked. `EXISTS` needs no rights that hop does not need anyway. */
export function redisDependency(client: RedisClient, timeoutMs: number, survivable: boolean): Dependency {
  return {
    name: "redis",
    survivable,
    check: async () => {
      await withDeadline(client.exists("hop"), timeoutMs, "asking Redis");
    },
  };
}
