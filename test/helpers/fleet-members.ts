// The processes of a fleet under test, each with what can happen to it.
import type { Random } from "./fault-test.ts";
import type { FragileDatabase } from "./fragile-database.ts";
import {
  freePort,
  type HopEnvironment,
  type HopProcess,
  startHop,
  startWork,
  type WorkProcess,
} from "./hop-process.ts";
import { RedirectLoad } from "./redirect-load.ts";
import type { TestRedis } from "./redis.ts";
import { SupervisedServer } from "./supervised-server.ts";

export interface FleetOptions {
  readonly codes: readonly string[];
  readonly random: Random;
  /** Clients of each server. */
  readonly connections: number;
  /** Programs to run in the place of hop. */
  readonly serverEntry?: string;
  readonly workerEntry?: string;
  readonly env?: HopEnvironment;
  /** Every server is a supervisor of so many processes, any of which may be killed or frozen. */
  readonly processes?: number;
}

/** One process, or what is one for whoever depends on it. */
export interface Member {
  readonly name: string;
  readonly role: "server" | "worker" | "Redis" | "Postgres";
  /** kill -9; answers what was hit: the role, or a part of it. */
  kill(): Promise<string>;
  /** Back on the same ports with the same data; resolves when it is ready. */
  restart(): Promise<void>;
  /** SIGSTOP; answers what was hit. */
  freeze(): Promise<string>;
  thaw(): Promise<void>;
}

export interface ServerMember extends Member {
  readonly load: RedirectLoad;
  /** The one that runs now. */
  readonly process: HopProcess;
}

export async function startServerMember(
  number: number,
  shared: HopEnvironment,
  options: FleetOptions,
  opened: AsyncDisposableStack,
): Promise<ServerMember> {
  const { codes, connections, random, serverEntry, processes = 1 } = options;
  const env = { ...shared, HOP_PORT: String(await freePort()), HOP_WORKERS: String(processes) };
  const start = () => startHop(env, serverEntry);
  let process = await start();
  const load = new RedirectLoad({ codes, connections, random: random.fork() });
  const supervised = new SupervisedServer(() => process, processes, random.fork());
  opened.defer(async () => {
    await (processes > 1 ? supervised.end() : process.kill("SIGKILL"));
    await load.stop();
  });
  const restart = async () => {
    process = await start();
  };
  const name = `server ${number}`;
  const alone = memberOf(name, "server", () => process, restart);
  const faults = processes > 1 ? supervised.faults(restart) : alone;
  return {
    ...alone,
    ...faults,
    load,
    get process() {
      return process;
    },
  };
}

export async function startWorkerMember(
  number: number,
  shared: HopEnvironment,
  entry: string | undefined,
  opened: AsyncDisposableStack,
): Promise<Member> {
  // Its name comes from the port: what it left is its own when it comes back.
  const env = { ...shared, HOP_WORK_ADMIN_PORT: String(await freePort()) };
  const start = () => startWork(env, entry);
  let process = await start();
  opened.defer(async () => {
    await process.kill("SIGKILL");
  });
  return memberOf(
    `worker ${number}`,
    "worker",
    () => process,
    async () => {
      process = await start();
    },
  );
}

function memberOf(
  name: string,
  role: Member["role"],
  running: () => WorkProcess,
  restart: () => Promise<void>,
): Member {
  return {
    name,
    role,
    kill: async () => {
      await running().kill("SIGKILL");
      return role;
    },
    restart,
    freeze: async () => {
      process.kill(running().pid, "SIGSTOP");
      return role;
    },
    thaw: async () => {
      process.kill(running().pid, "SIGCONT");
    },
  };
}

export function redisMember(redis: TestRedis): Member {
  return {
    name: "Redis",
    role: "Redis",
    kill: async () => {
      await redis.kill();
      return "Redis";
    },
    restart: () => redis.start(),
    freeze: async () => {
      redis.pause();
      return "Redis";
    },
    thaw: async () => redis.resume(),
  };
}

/** Whoever keeps it brings it back by itself, some 100 ms after its death. */
export function postgresMember(database: FragileDatabase): Member {
  return {
    name: "Postgres",
    role: "Postgres",
    kill: async () => {
      await database.killServer();
      return "Postgres";
    },
    restart: () => database.untilServing(),
    freeze: async () => {
      await database.freeze();
      return "Postgres";
    },
    thaw: () => database.thaw(),
  };
}
