// A real Redis, or Valkey, on a port and in a directory of its own, which tests may kill, freeze and bring back.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort } from "./hop-process.ts";
import { findRedisServer } from "./redis-binary.ts";
import { waitFor } from "./wait-for.ts";

export interface TestRedisOptions {
  /** When what is written reaches the disk; undefined keeps no file at all. */
  readonly fsync?: "everysec" | "always";
  /** More of redis.conf, as arguments. */
  readonly arguments?: readonly string[];
  /** A snapshot (RDB) to begin with. Redis reads it only if `fsync` is undefined. */
  readonly snapshot?: string;
}

export class TestRedis {
  readonly port: number;
  readonly #directory: string;
  readonly #options: TestRedisOptions;
  #child: ChildProcess | undefined;
  #printed = "";
  #client: Redis | undefined;

  private constructor(port: number, directory: string, options: TestRedisOptions) {
    this.port = port;
    this.#directory = directory;
    this.#options = options;
  }

  /** Starts one and waits until it answers. It is killed when the test process ends. */
  static async start(options: TestRedisOptions = {}): Promise<TestRedis> {
    const directory = await mkdtemp(join(tmpdir(), "hop-redis-"));
    const redis = new TestRedis(await freePort(), directory, options);
    try {
      if (options.snapshot !== undefined) await copyFile(options.snapshot, join(directory, "dump.rdb"));
      await redis.start();
    } catch (error) {
      await redis.stop();
      throw error;
    }
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** The same server, at a Unix socket. */
  get socketUrl(): string {
    return `unix://${this.#socket}`;
  }

  get #socket(): string {
    return join(this.#directory, "redis.sock");
  }

  /** A connection for the test itself, which comes back by itself after a restart. */
  get client(): Redis {
    this.#client ??= openClient(this.port);
    return this.#client;
  }

  /** On the same port, with what the last one left on its disk. */
  async start(): Promise<void> {
    const binary = findRedisServer();
    if (binary === undefined)
      throw new Error("neither redis-server nor valkey-server is on PATH; install one of them");
    const { fsync, arguments: more = [] } = this.#options;
    const place = ["--port", String(this.port), "--bind", "127.0.0.1", "--unixsocket", this.#socket];
    const disk = fsync === undefined ? [] : ["--appendonly", "yes", "--appendfsync", fsync];
    const child = spawn(binary, [...place, "--dir", this.#directory, "--save", "", ...disk, ...more], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => {
        this.#printed += text;
      });
    }
    const killNow = () => child.kill("SIGKILL");
    process.once("exit", killNow);
    child.once("exit", () => process.off("exit", killNow));
    await waitFor("Redis to answer", async () => {
      if (child.exitCode !== null) throw new Error(`Redis ended: ${this.#printed}`);
      return (await this.client.ping().catch(() => "")) === "PONG";
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Freezes the process: it holds its connections and answers nothing. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** The end: the process and its directory go. */
  async stop(): Promise<void> {
    this.#client?.disconnect();
    await this.#end("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }
}

export interface TestCluster {
  /** Masters first, then their replicas in the same order, as they were at the start. */
  readonly nodes: readonly TestRedis[];
  /** Some nodes' URLs with commas between them: what HOP_REDIS_URL takes. */
  readonly url: string;
  /** The node that is the master of a key now; undefined while there is none. */
  masterOf(key: string): Promise<TestRedis | undefined>;
  stop(): Promise<void>;
}

const MASTERS = 3;
const SLOTS = 16_384;
/** A node that is silent for this long is replaced: short, because tests wait for it. */
const NODE_TIMEOUT_MS = 1_000;

/** Three masters and three replicas, ready for commands. */
export async function startCluster(options: TestRedisOptions = {}): Promise<TestCluster> {
  await using started = new AsyncDisposableStack();
  const nodes: TestRedis[] = [];
  for (let count = 0; count < MASTERS * 2; count++) {
    const cluster = ["--cluster-enabled", "yes", "--cluster-port", String(await freePort())];
    const haste = ["--cluster-node-timeout", String(NODE_TIMEOUT_MS), "--repl-diskless-sync-delay", "0"];
    const node = await TestRedis.start({
      ...options,
      arguments: [...cluster, ...haste, ...(options.arguments ?? [])],
    });
    started.defer(() => node.stop());
    nodes.push(node);
    const [first] = nodes;
    if (first !== undefined && first !== node) {
      await node.client.cluster("MEET", "127.0.0.1", first.port, await busPort(first));
    }
  }
  const masters = nodes.slice(0, MASTERS);
  const share = Math.ceil(SLOTS / MASTERS);
  for (const [index, master] of masters.entries()) {
    await master.client.cluster("ADDSLOTSRANGE", index * share, Math.min((index + 1) * share, SLOTS) - 1);
  }
  for (const [index, replica] of nodes.slice(MASTERS).entries()) {
    const id = await masters[index]?.client.cluster("MYID");
    await waitFor("the replica to know its master", () =>
      replica.client.cluster("REPLICATE", String(id)).catch(() => undefined),
    );
  }
  await waitFor("the cluster to be whole", async () => {
    const whole = await Promise.all(nodes.map((node) => isWhole(node)));
    return whole.every(Boolean);
  });
  const running = started.move();
  return {
    nodes,
    url: nodes.map((node) => node.url).join(","),
    masterOf: async (key) => {
      const owners = await Promise.all(
        nodes.map(async (node) => ((await serves(node, key)) ? node : undefined)),
      );
      return owners.find((owner) => owner !== undefined);
    },
    stop: () => running.disposeAsync(),
  };
}

async function busPort(node: TestRedis): Promise<number> {
  const config = (await node.client.config("GET", "cluster-port")) as string[];
  return Number(config[1]);
}

async function isWhole(node: TestRedis): Promise<boolean> {
  const info = await node.client.cluster("INFO");
  const known = Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1]);
  if (!info.includes("cluster_state:ok") || known !== MASTERS * 2) return false;
  const replication = await node.client.info("replication");
  return /role:slave[\s\S]*master_link_status:up/.test(replication) || /connected_slaves:1/.test(replication);
}

/** A master takes the key; a replica, a stranger and a dead node do not. */
async function serves(node: TestRedis, key: string): Promise<boolean> {
  try {
    await node.client.exists(key);
    return true;
  } catch {
    return false;
  }
}

function openClient(port: number): Redis {
  const client = new Redis({
    host: "127.0.0.1",
    port,
    protocol: 2,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 5_000,
    retryStrategy: () => 20,
  });
  // A test kills servers: what fails shows in its commands.
  client.on("error", () => undefined);
  return client;
}
