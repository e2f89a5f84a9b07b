// What the health of a server and of a worker depends on.
import type { Config } from "./config.ts";
import { type Dependency, Health } from "./http/health.ts";
import { withDeadline } from "./lib/deadline.ts";
import { redisDependency } from "./open-redis.ts";
import type { Database } from "./storage/postgres/database.ts";
import type { RedisClient } from "./storage/redis/client.ts";

type Timeout = Pick<Config, "healthTimeoutMs">;

/** A server redirects known links without either. It begins to listen once it has reached Postgres, so it has been ready. */
export function serverHealth(config: Timeout, sql: Database, redis: RedisClient | undefined): Health {
  const { healthTimeoutMs } = config;
  const postgres = postgresDependency(sql, healthTimeoutMs, true);
  return new Health(
    redis === undefined ? [postgres] : [postgres, redisDependency(redis, healthTimeoutMs, true)],
  );
}

/** A worker moves clicks from Redis to Postgres: without one of them it can do nothing. */
export function workerHealth(config: Timeout, sql: Database, redis: RedisClient): Health {
  const { healthTimeoutMs } = config;
  return new Health([
    postgresDependency(sql, healthTimeoutMs, false),
    redisDependency(redis, healthTimeoutMs, false),
  ]);
}

function postgresDependency(sql: Database, timeoutMs: number, survivable: boolean): Dependency {
  return {
    name: "postgres",
    survivable,
    check: async () => {
      await withDeadline(sql`SELECT 1`, timeoutMs, "asking Postgres");
    },
  };
}
