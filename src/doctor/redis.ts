// Is Redis there, and set up for what it is trusted with?
import type { Config } from "../config.ts";
import type { Log } from "../lib/log.ts";
import { streamPlace, waitForRedis } from "../open-stream.ts";
import { isCluster } from "../storage/redis/client.ts";
import { judgeSettings } from "../storage/redis/settings.ts";
import { fail, type Finding, ok, PATIENCE_MS, warn } from "./finding.ts";

export async function examineRedis(config: Config, log: Log): Promise<readonly Finding[]> {
  if (config.redisUrl === undefined) return [ok("redis", "none is configured, and none is needed")];
  const place = streamPlace(config);
  const client = await waitForRedis(place, PATIENCE_MS, log);
  try {
    const expectsCluster = isCluster(place.address);
    const advice = await judgeSettings(client, expectsCluster, { holdsClicks: config.clicks === "stream" });
    const reachable = ok("redis", "answers");
    return [
      reachable,
      ...advice.map(({ name, says, mend, grave }) => (grave ? fail : warn)(`redis ${name}`, says, mend)),
    ];
  } finally {
    client.disconnect();
  }
}
