// The Postgres server process of one cluster: who it is, starting it, stopping it.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  open,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  chown,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { canEnter, ownUid } from "./account.ts";
import { errorMessage } from "../../lib/errors.ts";
import { cleanEnvironment, errorCode, pause, refusal, run } from "./bounded.ts";
import type { Cluster } from "./cluster.ts";

/** What postmaster.pid says about a server that is verified to be alive and to serve this data directory. */
export interface Postmaster {
  readonly pid: number;
  readonly status: "starting" | "ready" | "stopping";
  /** Undefined until the server has chosen it. */
  readonly socket: string | undefined;
}

/** A port number only names the socket file: nothing listens on TCP. */
const PORT = 5432;
/** The kernel's limit is 108 bytes on Linux and 104 on macOS. */
const MAX_SOCKET_PATH_BYTES = 100;
const MAX_LOG_BYTES = 4 * 1024 * 1024;

/** The server of this cluster, if one is alive. Never a process that merely got its old pid. */
export async function findPostmaster({ data }: Cluster): Promise<Postmaster | undefined> {
  const lines = await readPidFile(data);
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 1 || !(await isPostmaster(pid, data))) return undefined;
  const [port, directory] = [lines[3], lines[4]];
  const status = lines[7]?.trim();
  return {
    pid,
    status: status === "ready" || status === "stopping" ? status : "starting",
    socket: port && directory ? join(directory, `.s.PGSQL.${port}`) : undefined,
  };
}

async function readPidFile(data: string): Promise<string[]> {
  try {
    return (await readFile(join(data, "postmaster.pid"), "utf8")).split("\n");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

async function isPostmaster(pid: number, data: string): Promise<boolean> {
  if (process.platform !== "linux") {
    const { code, output } = await run("ps", ["-ww", "-o", "command=", "-p", String(pid)], {
      account: undefined,
      timeoutMs: 5000,
    });
    return code === 0 && output.endsWith(` -D ${data}`);
  }
  try {
    // A server stands in its data directory, whatever name a mount or a move gives that.
    const [cwd, directory, program] = await Promise.all([
      stat(`/proc/${pid}/cwd`),
      stat(data),
      readlink(`/proc/${pid}/exe`),
    ]);
    const isPostgres = basename(program).split(" ")[0] === "postgres";
    return isPostgres && cwd.ino === directory.ino && cwd.dev === directory.dev;
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES"].includes(errorCode(error) ?? "")) return false;
    throw error;
  }
}

/** Stops the server: fast, then immediate, then by force; each step bounded, and crash safe. */
export async function stopPostmaster(
  cluster: Cluster,
  { pid, socket }: Postmaster,
  timeoutMs: number,
): Promise<void> {
  for (const signal of ["SIGINT", "SIGQUIT", "SIGKILL"] as const) {
    if (!(await isPostmaster(pid, cluster.data))) break;
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (errorCode(error) !== "ESRCH") throw error;
    }
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline && (await isPostmaster(pid, cluster.data))) await pause(5);
  }
  if (await isPostmaster(pid, cluster.data)) throw new Error(`Postgres (pid ${pid}) does not stop`);
  if (socket !== undefined && dirname(dirname(socket)) !== cluster.home) await removeIfEmpty(dirname(socket));
}

async function removeIfEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(errorCode(error) ?? "")) throw error;
  }
}

/** A started server, perhaps not ready yet. */
export interface Launched {
  readonly hasExited: () => boolean;
  /** What it has written to its log so far. */
  readonly output: () => Promise<string>;
}

/** Starts the server in a session of its own, so that Ctrl-C reaches hop and not the database. */
export async function launchPostmaster(cluster: Cluster, socket: string): Promise<Launched> {
  const { account, data, home } = cluster;
  const pid = Number((await readPidFile(data))[0]);
  // Postgres does not start while a process has its old pid; the caller knows that it is not a server of ours.
  if (pid > 1 && isAlive(pid)) await rm(join(data, "postmaster.pid"), { force: true });
  await makePrivate(dirname(socket), cluster);

  const path = join(home, "server.log");
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size > MAX_LOG_BYTES) await rename(path, `${path}.1`);
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
  const log = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    if (account) await log.chown(account.uid, account.gid);
    const start = (await log.stat()).size;
    const child = spawn(cluster.binaries.postgres, serverArguments(dirname(socket), data), {
      cwd: "/",
      detached: true,
      env: cleanEnvironment,
      stdio: ["ignore", log.fd, log.fd],
      ...(account && { uid: account.uid, gid: account.gid }),
    });
    let failure: string | undefined;
    child.once("error", (error) => (failure = error.message));
    child.unref();
    return {
      hasExited: () => failure !== undefined || child.exitCode !== null || child.signalCode !== null,
      output: async () => failure ?? (await readFile(path)).subarray(start).toString().trim(),
    };
  } finally {
    await log.close();
  }
}

/** The postmaster never changes its command line; -D comes last because `ps` is asked for it on macOS. */
function serverArguments(socketDir: string, data: string): string[] {
  const settings = {
    // Reachable through the socket only, and the socket by one user only.
    listen_addresses: "",
    unix_socket_directories: `"${socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: "0700",
    port: PORT,
    // A click that was acknowledged survives a power cut, whatever postgresql.conf says.
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    // One server on a shared box: the default cache, and room for a few hop processes with pools.
    shared_buffers: "128MB",
    max_connections: 100,
    // Three worker processes fewer; reads are few and cached.
    io_method: "sync",
    // Containers give /dev/shm 64 MB, which parallel hash joins outgrow.
    max_parallel_workers_per_gather: 0,
    // Nobody rotates this log: warnings and errors, not a line for every checkpoint.
    log_checkpoints: "off",
    log_timezone: "UTC",
    timezone: "UTC",
  };
  return [...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]), "-D", data];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/** Where a server that is to be started listens: beside its data, or where the path is short enough. */
export async function chooseSocket({ home, password, account }: Cluster): Promise<string> {
  const file = `.s.PGSQL.${PORT}`;
  const beside = join(home, "socket", file);
  if (Buffer.byteLength(beside) <= MAX_SOCKET_PATH_BYTES) return beside;
  // The same at every start, so that pools reconnect, and not to be guessed and occupied by another user.
  const name = `hop-${createHash("sha256").update(`socket ${password}`).digest("hex").slice(0, 16)}`;
  for (const directory of [tmpdir(), "/tmp"]) {
    const path = join(directory, name, file);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) continue;
    if (await canEnter(account, directory)) return path;
  }
  throw refusal(
    `no directory for the database's socket has a path of at most ${MAX_SOCKET_PATH_BYTES} bytes`,
    "choose a shorter path or set TMPDIR to a short one",
  );
}

async function makePrivate(directory: string, { account }: Cluster): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
    if (account) await chown(directory, account.uid, account.gid);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    const found = await lstat(directory);
    if (!found.isDirectory() || found.uid !== (account?.uid ?? ownUid())) {
      throw refusal(`${directory} belongs to someone else`, "remove it", errorMessage(error));
    }
    await chmod(directory, 0o700);
  }
}
