// What a Redis should be set to before clicks are trusted to it.
import type { RedisClient } from "./client.ts";

const OLDEST_MAJOR = 7;

export interface Advice {
  /** What it is about, in a word or two. */
  readonly name: string;
  readonly says: string;
  readonly mend: string;
  /** hop will not work with it. */
  readonly grave: boolean;
}

/** Sentences for the operator, none when all is well. In a cluster one node speaks for all. @throws when it cannot be asked */
export async function adviceFor(client: RedisClient, expectsCluster: boolean): Promise<readonly string[]> {
  const advice = await judgeSettings(client, expectsCluster, { holdsClicks: true });
  return advice.map(({ says, mend }) => `${says}; ${mend}`);
}

/** As `adviceFor`, in parts. Durability matters only where clicks wait in Redis. */
export async function judgeSettings(
  client: RedisClient,
  expectsCluster: boolean,
  { holdsClicks }: { holdsClicks: boolean },
): Promise<readonly Advice[]> {
  const info = await client.info();
  const value = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  const advice: Advice[] = [];
  const version = value("valkey_version") || value("redis_version");
  if (Number.parseInt(version, 10) < OLDEST_MAJOR) {
    const says = `Redis ${version} is too old`;
    advice.push({ name: "version", says, mend: `use version ${OLDEST_MAJOR} or newer`, grave: true });
  }
  if (value("cluster_enabled") === "1" && !expectsCluster) {
    const mend = "list several of its nodes in HOP_REDIS_URL, with commas between them";
    advice.push({ name: "cluster", says: "Redis is a cluster", mend, grave: true });
  }
  if (!holdsClicks) return advice;
  if (value("aof_enabled") !== "1") {
    const says = "Redis keeps clicks in memory only";
    advice.push({ name: "durability", says, mend: "set appendonly yes", grave: false });
  } else if ((await findSetting(client, "appendfsync")) === "no") {
    const says = "Redis leaves it to the system when clicks reach the disk";
    advice.push({ name: "durability", says, mend: "set appendfsync everysec or always", grave: false });
  }
  if (value("maxmemory") !== "0" && value("maxmemory_policy") !== "noeviction") {
    const says = `Redis may throw clicks away when its memory is full (${value("maxmemory_policy")})`;
    advice.push({ name: "eviction", says, mend: "set maxmemory-policy noeviction", grave: false });
  }
  return advice;
}

/** Undefined where the operator of Redis keeps its settings to himself. */
async function findSetting(client: RedisClient, name: string): Promise<string | undefined> {
  const reply: unknown = await client.config("GET", name).catch((error: unknown) => {
    if (/NOPERM|unknown command/i.test(String(error))) return [];
    throw error;
  });
  const value: unknown = Array.isArray(reply) ? reply[1] : undefined;
  return typeof value === "string" ? value : undefined;
}
