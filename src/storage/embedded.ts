// The embedded default: a real Postgres under the data directory, shared by every hop process that opens it.
import { lstatSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { findBinaries } from "./embedded/binaries.ts";
import { errorMessage } from "../lib/errors.ts";
import { errorCode, pause, refusal } from "./embedded/bounded.ts";
import { openCluster, prepareDataDir, ROLE, type Cluster } from "./embedded/cluster.ts";
import { takeFileLock } from "./embedded/file-lock.ts";
import {
  chooseSocket,
  findPostmaster,
  launchPostmaster,
  stopPostmaster,
  type Launched,
} from "./embedded/postmaster.ts";
import { moveIn, type Connection, type Tenant } from "./embedded/tenant.ts";

export interface EmbeddedPostgres {
  /** Options for postgres.js. The path stays the same when Postgres is brought back after a crash. */
  readonly connection: Connection;
  /** Release; the last hop process to leave stops Postgres, bounded, else leaves it running. Idempotent. */
  close(): Promise<void>;
}

export interface EmbeddedOptions {
  readonly dataDir: string;
  readonly log: (message: string) => void;
  /** For all of a start, crash recovery included. */
  readonly startTimeoutMs?: number;
  /** For each of the ways to stop: fast, immediate, by force. */
  readonly stopTimeoutMs?: number;
  /** How often to look whether the socket file is still there. */
  readonly checkIntervalMs?: number;
  /** Where root keeps what the user that runs Postgres cannot reach elsewhere. */
  readonly systemDir?: string;
  /** As in `linux-x64`. */
  readonly platform?: string;
}

type Bounds = Required<EmbeddedOptions>;

const MAX_BACKOFF_MS = 10_000;
/** A server that is asked to stop politely waits for its clients for ever; newcomers do not wait that long. */
const POLITE_STOP_MS = 2000;

/**
 * Attaches to the Postgres of this data directory, made and started if need be, and keeps it running until `close`.
 * Throws an Error that begins with HOP_DATA_DIR and says what to mend where the directory or the system cannot do it.
 */
export async function openEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const bounds: Bounds = {
    startTimeoutMs: 60_000,
    stopTimeoutMs: 10_000,
    checkIntervalMs: 5000,
    systemDir: "/var/lib/hop",
    platform: `${process.platform}-${process.arch}`,
    ...options,
    dataDir: resolve(options.dataDir),
  };
  const binaries = await findBinaries(bounds.platform);
  await prepareDataDir(bounds.dataDir);
  const closing = new AbortController();
  const { cluster, socket, tenant } = await alone(bounds, closing.signal, async () => {
    const cluster = await openCluster(bounds, binaries);
    const socket = (await findPostmaster(cluster))?.socket ?? (await chooseSocket(cluster));
    return { cluster, ...(await attach(cluster, socket, bounds, closing.signal)) };
  });
  const connection = connectionTo(cluster, socket);
  const keeper = keepAttached(cluster, connection, tenant, bounds, closing.signal);
  let closed: Promise<void> | undefined;
  return {
    connection,
    close() {
      closing.abort();
      closed ??= keeper.then((last) => leave(cluster, last, bounds));
      return closed;
    },
  };
}

/** False when `openEmbeddedPostgres` would make a database; true when it would find one, or say why it can do neither. */
export function hasEmbeddedPostgres(dataDir: string): boolean {
  try {
    lstatSync(join(dataDir, "postgres"));
    return true;
  } catch (error) {
    return errorCode(error) !== "ENOENT";
  }
}

/**
 * Runs while no other process starts, attaches to or stops this Postgres. So a newcomer never attaches to a server
 * that somebody has decided to stop, and one process makes the cluster.
 */
async function alone<T>(bounds: Bounds, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  const patienceMs = bounds.startTimeoutMs + 3 * bounds.stopTimeoutMs;
  const release = await takeFileLock(join(bounds.dataDir, "postgres.lock"), patienceMs, signal);
  try {
    return await work();
  } finally {
    release();
  }
}

function connectionTo(cluster: Cluster, socket: string): Connection {
  return { path: socket, username: ROLE, password: cluster.password, database: "postgres" };
}

/** Adopts the running server, or replaces one that nobody can reach, or starts one; until the deadline. */
async function attach(
  cluster: Cluster,
  preferredSocket: string,
  bounds: Bounds,
  signal: AbortSignal,
): Promise<{ tenant: Tenant; socket: string }> {
  const startMs = Date.now();
  let launched: Launched | undefined;
  let trouble: unknown;
  while (Date.now() - startMs < bounds.startTimeoutMs) {
    // What was started is seen through, or closing could leave behind a server that nobody knows yet.
    if (!launched) signal.throwIfAborted();
    const server = await findPostmaster(cluster);
    if (server?.socket !== undefined && server.status !== "starting") {
      try {
        const tenant = await moveIn(connectionTo(cluster, server.socket));
        return { tenant, socket: server.socket };
      } catch (error) {
        trouble = error;
      }
      const reach = reachability(trouble);
      const unreachable = server.status === "ready" && reach === "absent";
      const overdue = server.status === "stopping" && Date.now() - startMs > POLITE_STOP_MS;
      if (unreachable || overdue) {
        bounds.log(`embedded Postgres (pid ${server.pid}) runs but cannot be reached; stopping it`);
        await stopPostmaster(cluster, server, bounds.stopTimeoutMs);
        launched = undefined;
        continue;
      }
      if (reach === "refused") {
        throw refusal(
          `the database in ${cluster.home} refuses hop (${errorMessage(trouble)})`,
          "restore its password file",
          trouble,
        );
      }
    } else if (server === undefined && launched?.hasExited() !== false) {
      if (launched) {
        trouble = new Error(`embedded Postgres did not start: ${lastLines(await launched.output())}`);
        if (!isPassing(errorMessage(trouble))) throw trouble;
        await pause(100);
      }
      launched = await launchPostmaster(cluster, preferredSocket);
    }
    await pause(10);
  }
  const reason = trouble === undefined ? "" : ` (${errorMessage(trouble)})`;
  throw new Error(
    `embedded Postgres was not ready after ${bounds.startTimeoutMs} ms${reason}; ` +
      `it may still be recovering, see ${join(cluster.home, "server.log")}`,
    { cause: trouble },
  );
}

/** absent: nobody listens; later: it will answer in a while; refused: trying again changes nothing. */
function reachability(error: unknown): "absent" | "later" | "refused" {
  const code = errorCode(error) ?? "";
  if (["ENOENT", "ECONNREFUSED"].includes(code)) return "absent";
  // 57P03 starting or stopping, 57P01/57P02 stopped under us, 53300 all places taken; no SQLSTATE: cut or too slow.
  return /^[0-9A-Z]{5}$/.test(code) && !["57P01", "57P02", "57P03", "53300"].includes(code)
    ? "refused"
    : "later";
}

/** After a kill -9 of the server its children live on for a moment, and a new server waits for them. */
function isPassing(output: string): boolean {
  return /pre-existing shared memory block|lock file .* already exists/.test(output);
}

function lastLines(output: string): string {
  return output.split("\n").slice(-5).join(" | ") || "it wrote nothing";
}

/** Brings Postgres back whenever it is lost. Ends when the signal fires, with the tenant to leave with, if any. */
async function keepAttached(
  cluster: Cluster,
  connection: Connection,
  first: Tenant,
  bounds: Bounds,
  signal: AbortSignal,
): Promise<Tenant | undefined> {
  let tenant = first;
  while (await isLost(tenant, connection.path, bounds, signal)) {
    bounds.log("embedded Postgres is gone; bringing it back");
    await tenant.end().catch((error: unknown) => bounds.log(errorMessage(error)));
    const back = await bringBack(cluster, connection, bounds, signal);
    if (back === undefined) return undefined;
    tenant = back;
  }
  return tenant;
}

/** Waits until the server is gone (true) or hop is closing (false). */
async function isLost(tenant: Tenant, socket: string, bounds: Bounds, signal: AbortSignal): Promise<boolean> {
  const gone = new AbortController();
  void tenant.lost.then(() => gone.abort());
  const wake = AbortSignal.any([signal, gone.signal]);
  while (!wake.aborted) {
    await pause(bounds.checkIntervalMs, wake);
    // Without the file our connection goes on, but no pool can open a new one.
    if ((await stat(socket).catch(errorCode)) === "ENOENT") break;
  }
  return !signal.aborted;
}

async function bringBack(
  cluster: Cluster,
  connection: Connection,
  bounds: Bounds,
  signal: AbortSignal,
): Promise<Tenant | undefined> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      const work = (): ReturnType<typeof attach> => attach(cluster, connection.path, bounds, signal);
      const { tenant, socket } = await alone(bounds, signal, work);
      if (socket === connection.path) bounds.log("embedded Postgres is back");
      else bounds.log(`embedded Postgres is back, but at another socket (${socket}): restart this process`);
      return tenant;
    } catch (error) {
      if (signal.aborted) break;
      const waitMs = Math.min(MAX_BACKOFF_MS, 100 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2);
      bounds.log(`embedded Postgres is not back (${errorMessage(error)}); trying again`);
      await pause(waitMs, signal);
    }
  }
  return undefined;
}

async function leave(cluster: Cluster, last: Tenant | undefined, bounds: Bounds): Promise<void> {
  let tenant = last;
  try {
    await alone(bounds, undefined, async () => {
      const server = await findPostmaster(cluster);
      if (server?.socket === undefined) return;
      // Without a place of our own we may still be the last: a new connection can ask.
      tenant ??= await moveIn(connectionTo(cluster, server.socket));
      const isLast = await tenant.leave();
      await tenant.end();
      if (isLast) await stopPostmaster(cluster, server, bounds.stopTimeoutMs);
    });
  } catch (error) {
    // Whoever opens this data directory next adopts the server or replaces it.
    bounds.log(`embedded Postgres could not be stopped in order: ${errorMessage(error)}`);
  } finally {
    await tenant?.end();
  }
}
