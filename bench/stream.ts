// What stands beside a hop with a stream: a Redis that keeps its data on the disk, and one `hop work` that stores the clicks.
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import { type Child, startChild, waitFor } from "./child.ts";
import { MAIN } from "./hop.ts";

export interface BenchRedis {
  readonly child: Child;
  readonly url: string;
  readonly client: Redis;
  stop(): Promise<void>;
}

/** The one partition that a single Redis has. */
const STREAM = "hop:clicks:{0}";
const READY_TIMEOUT_MS = 10_000;
const COMMAND_TIMEOUT_MS = 10_000;
const DRAIN_TIMEOUT_MS = 120_000;

/** @throws with one line that says what to install. */
export function findRedis(): string {
  const path = Bun.which("redis-server") ?? Bun.which("valkey-server");
  if (path === null)
    throw new Error("hop bench needs Redis or Valkey: apt-get install redis-server, or brew install redis");
  return path;
}

/** An empty one, at a Unix socket, as docs advise for one host: `appendonly yes`, `appendfsync everysec`. */
export async function startRedis(program: string, workDir: string, signal: AbortSignal): Promise<BenchRedis> {
  const directory = await mkdtemp(join(workDir, "redis-"));
  const socket = join(directory, "redis.sock");
  const place = ["--port", "0", "--unixsocket", socket, "--dir", directory];
  const disk = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"];
  const child = startChild(program, [...place, ...disk], { signal });
  try {
    const ready = () => /ready to accept connections/i.test(child.output()) || undefined;
    await waitFor("Redis", child, ready, { timeoutMs: READY_TIMEOUT_MS, signal });
  } catch (error) {
    await child.stop();
    throw error;
  }
  const client = new Redis(socket, {
    protocol: 2,
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
  });
  // What goes wrong shows in its commands.
  client.on("error", () => undefined);
  return {
    child,
    url: `unix://${socket}`,
    client,
    async stop() {
      client.disconnect();
      await child.stop();
    },
  };
}

/** `hop work` beside a hop that is ready. */
export async function startWorker(
  redis: BenchRedis,
  dataDir: string,
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const child = startChild(process.execPath, [MAIN, "work"], {
    signal,
    env: {
      HOP_REDIS_URL: redis.url,
      HOP_DATA_DIR: dataDir,
      HOP_WORK_ADMIN_PORT: "0",
      HOP_LOG_LEVEL: "warn",
      ...env,
    },
  });
  try {
    const ready = () => child.output().includes("hop work is ready") || undefined;
    await waitFor("hop work", child, ready, { timeoutMs: READY_TIMEOUT_MS, signal });
    return child;
  } catch (error) {
    await child.stop();
    throw error;
  }
}

/** Until every click is out of the stream, which a worker does once Postgres has it. */
export async function waitUntilStored(redis: BenchRedis, worker: Child, signal: AbortSignal): Promise<void> {
  const stored = async () => ((await redis.client.xlen(STREAM)) === 0 ? true : undefined);
  await waitFor("the stream to be stored", worker, stored, { timeoutMs: DRAIN_TIMEOUT_MS, signal });
}

/** Memory of the stream as Redis accounts for it, every entry looked at. */
export async function streamBytes({ client }: BenchRedis): Promise<number> {
  return Number(await client.call("MEMORY", "USAGE", STREAM, "SAMPLES", "0"));
}
