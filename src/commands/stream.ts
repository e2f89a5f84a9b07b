// The stream of clicks, for commands.
import type { Config } from "../config.ts";
import { streamPlace, waitForRedis } from "../open-stream.ts";
import type { RedisClient } from "../storage/redis/client.ts";
import { openLog } from "./log.ts";

/** Somebody waits in front of the screen. */
const WAIT_MS = 5_000;

/** Asks the stream something and closes it, whatever happens. @throws ConfigError without HOP_REDIS_URL */
export async function withStream<T>(
  config: Config,
  work: (client: RedisClient, partitions: number) => Promise<T>,
): Promise<T> {
  const place = streamPlace(config);
  const log = openLog({ ...config, logLevel: "error" });
  const client = await waitForRedis(place, WAIT_MS, log);
  try {
    return await work(client, place.partitions);
  } finally {
    client.disconnect();
  }
}
