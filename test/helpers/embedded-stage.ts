// Temporary data directories, opener processes and their Postgres servers for tests of the embedded database.
import { chmod, mkdtemp, readFile, realpath, rm, stat } from "node:fs/promises";
import { readFileSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { z } from "zod";
import { openEmbeddedPostgres, type EmbeddedPostgres } from "../../src/storage/embedded.ts";
import { waitFor } from "./wait-for.ts";

type Connection = EmbeddedPostgres["connection"];

const saidSchema = z.object({
  log: z.string().optional(),
  connection: z
    .object({ path: z.string(), username: z.string(), password: z.string(), database: z.string() })
    .optional(),
});

export interface Opener {
  readonly pid: number;
  readonly connection: Connection;
  readonly logs: readonly string[];
  close(): Promise<void>;
  kill(): Promise<void>;
}

export async function query(connection: Connection, text: string): Promise<unknown[][]> {
  const sql = postgres({ ...connection, max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    return await sql.unsafe(text).values();
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A zombie counts as gone: some containers have nobody who reaps orphans. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== "linux") return true;
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

export function commandLine(pid: number): string {
  if (process.platform === "linux") return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  return Bun.spawnSync(["ps", "-ww", "-o", "command=", "-p", String(pid)]).stdout.toString();
}

/** The pid of the running server of this data directory, by evidence other than the code under test. */
export async function serverPid(dataDir: string): Promise<number | undefined> {
  try {
    const data = join(await realpath(join(dataDir, "postgres")), "data");
    const pid = Number((await readFile(join(data, "postmaster.pid"), "utf8")).split("\n")[0]);
    if (process.platform === "linux") return readlinkSync(`/proc/${pid}/cwd`) === data ? pid : undefined;
    return commandLine(pid).includes(data) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Kills and waits until the process is gone. */
export async function kill(pid: number, signal: NodeJS.Signals): Promise<void> {
  process.kill(pid, signal);
  await waitFor(`process ${pid} to be gone`, () => !isAlive(pid));
}

/** Everything one test makes; `clear` undoes it. */
export class Stage {
  readonly logs: string[] = [];
  readonly #dataDirs = new Set<string>();
  readonly #roots: string[] = [];
  readonly #databases: EmbeddedPostgres[] = [];
  readonly #processes: Bun.Subprocess[] = [];

  /** An absent data directory in a temporary one with this mode. */
  async dataDir({ mode = 0o711, below = "data" } = {}): Promise<string> {
    const root = await realpath(await mkdtemp(join(tmpdir(), "hop-test-")));
    await chmod(root, mode);
    this.#roots.push(root);
    const dataDir = join(root, below);
    this.#dataDirs.add(dataDir);
    return dataDir;
  }

  async systemDir(): Promise<string> {
    const existing = this.#roots.find((root) => root.includes("hop-system-"));
    if (existing) return existing;
    const root = await realpath(await mkdtemp(join(tmpdir(), "hop-system-")));
    this.#roots.push(root);
    return root;
  }

  async open(dataDir: string, options: { platform?: string; startTimeoutMs?: number } = {}) {
    const systemDir = await this.systemDir();
    const log = (text: string): void => void this.logs.push(text);
    const database = await openEmbeddedPostgres({
      dataDir,
      systemDir,
      log,
      checkIntervalMs: 100,
      ...options,
    });
    this.#databases.push(database);
    return database;
  }

  /** Opens in a process of its own. */
  async spawn(dataDir: string): Promise<Opener> {
    const script = join(import.meta.dir, "embedded-opener.ts");
    const child = Bun.spawn([process.execPath, script, dataDir, await this.systemDir()], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#processes.push(child);
    const logs: string[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const reading = (async () => {
      const decoder = new TextDecoder();
      let rest = "";
      for await (const chunk of child.stdout) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const said = saidSchema.parse(JSON.parse(line));
          if (said.log !== undefined) logs.push(said.log);
          if (said.connection) resolve(said.connection);
        }
      }
      reject(new Error(`the opener ended: ${logs.join(" | ")}`));
    })();
    const connection = await promise;
    return {
      pid: child.pid,
      connection,
      logs,
      async close() {
        await child.stdin.end();
        await Promise.all([child.exited, reading]);
      },
      async kill() {
        child.kill("SIGKILL");
        await Promise.all([child.exited, reading]);
      },
    };
  }

  async killOpeners(): Promise<void> {
    for (const child of this.#processes) child.kill("SIGKILL");
    await Promise.all(this.#processes.map((child) => child.exited));
  }

  async clear(): Promise<void> {
    await Promise.all(this.#databases.map((database) => database.close()));
    await this.killOpeners();
    for (const dataDir of this.#dataDirs) {
      const pid = await serverPid(dataDir);
      if (pid !== undefined) await kill(pid, "SIGQUIT");
    }
    for (const root of this.#roots) await rm(root, { recursive: true, force: true });
  }
}

export async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

/** What the opening was refused with. */
export async function refusalOf(opening: Promise<unknown>): Promise<string> {
  return opening.then(
    () => "it was not refused",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}
