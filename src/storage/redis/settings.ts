// What a Redis should be set to before clicks are trusted to it.
import type { RedisClient } from "./client.ts";

const OLDEST_MAJOR = 7;

/** Sentences for the operator, none when all is well. In a cluster one node speaks for all. @throws when it cannot be asked */
export async function adviceFor(client: RedisClient, expectsCluster: boolean): Promise<readonly string[]> {
  const info = await client.info();
  const value = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  const advice: string[] = [];
  const version = value("valkey_version") || value("redis_version");
  if (Number.parseInt(version, 10) < OLDEST_MAJOR) {
    advice.push(`Redis ${version} is too old; use version ${OLDEST_MAJOR} or newer`);
  }
  if (value("aof_enabled") !== "1") {
    advice.push("Redis keeps clicks in memory only; set appendonly yes");
  }
  if (value("maxmemory") !== "0" && value("maxmemory_policy") !== "noeviction") {
    advice.push(
      `Redis may throw clicks away when its memory is full (${value("maxmemory_policy")}); set maxmemory-policy noeviction`,
    );
  }
  if (value("cluster_enabled") === "1" && !expectsCluster) {
    advice.push("Redis is a cluster; list several of its nodes in HOP_REDIS_URL, with commas between them");
  }
  return advice;
}
