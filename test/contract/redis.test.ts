// The copies in Redis keep the contract, on one server with a password and on a cluster.
import { afterAll, beforeAll } from "bun:test";
import { connected, openRedis, type RedisClient } from "../../src/storage/redis/client.ts";
import { RedisRouteCopies } from "../../src/storage/redis/route-copies.ts";
import { startCluster, type TestCluster, TestRedis } from "../helpers/redis.ts";
import { describeRouteCopies } from "./route-copies-contract.ts";

const TIMEOUT_MS = 5_000;
const PASSWORD = "p@ss word";

let server: TestRedis;
let cluster: TestCluster;
const clients: RedisClient[] = [];

async function open(url: string): Promise<RedisClient> {
  const address = { url, commandTimeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };
  const client = openRedis(address, "test", () => undefined);
  clients.push(client);
  await connected(client, TIMEOUT_MS);
  return client;
}

beforeAll(async () => {
  server = await TestRedis.start();
  await server.client.call("ACL", "SETUSER", "cache", "on", `>${PASSWORD}`, "~hop:*", "+@all");
  cluster = await startCluster();
});
afterAll(async () => {
  for (const client of clients) client.disconnect();
  await Promise.all([server.stop(), cluster.stop()]);
});

// Time in Redis is its own: it has to be waited for.
const pass = (ms: number) => Bun.sleep(ms);

describeRouteCopies("Redis", async () => {
  await server.client.flushall();
  const url = server.url.replace("//", `//cache:${encodeURIComponent(PASSWORD)}@`);
  return { copies: new RedisRouteCopies(await open(url)), pass };
});

describeRouteCopies("a Redis cluster", async () => {
  for (const node of cluster.nodes.slice(0, 3)) await node.client.flushall();
  return { copies: new RedisRouteCopies(await open(cluster.url)), pass };
});
