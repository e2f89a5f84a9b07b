// A Postgres of its own that a test may kill: it comes back by itself, behind a proxy that can be shut.
import { errorCode } from "../../src/storage/embedded/bounded.ts";
import { type Database, openDatabase } from "../../src/storage/postgres/database.ts";
import { kill, serverPid, Stage } from "./embedded-stage.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { waitFor } from "./wait-for.ts";

export interface FragileDatabase {
  /** Straight to the server, whatever happens to the proxy. */
  readonly sql: Database;
  /** Through `proxy`. */
  readonly url: string;
  readonly proxy: TcpProxy;
  /** kill -9 of the postmaster. */
  killServer(): Promise<void>;
  /** SIGSTOP for every process of the server: connections stay and nothing answers. */
  freeze(): Promise<void>;
  /** SIGCONT, also to what began meanwhile. */
  thaw(): Promise<void>;
  /** Resolves when it takes queries. */
  untilServing(): Promise<void>;
  close(): Promise<void>;
}

export async function openFragileDatabase(): Promise<FragileDatabase> {
  await using opened = new AsyncDisposableStack();
  const stage = new Stage();
  opened.defer(() => stage.clear());
  const dataDir = await stage.dataDir();
  const { connection } = await stage.open(dataDir);
  const sql = openDatabase({
    address: connection,
    connections: 2,
    statementTimeoutMs: 60_000,
    applicationName: "test",
  });
  opened.defer(() => sql.end({ timeout: 5 }));
  const proxy = await TcpProxy.open({ path: connection.path });
  opened.defer(() => proxy.close());
  const account = `${connection.username}:${encodeURIComponent(connection.password)}`;
  const running = opened.move();
  return {
    sql,
    url: `postgres://${account}@127.0.0.1:${proxy.port}/${connection.database}`,
    proxy,
    killServer: async () => {
      const pid = await serverPid(dataDir);
      if (pid === undefined) throw new Error("there is no Postgres to kill");
      await kill(pid, "SIGKILL");
    },
    freeze: async () => signalServer(dataDir, "SIGSTOP"),
    thaw: async () => signalServer(dataDir, "SIGCONT"),
    untilServing: async () => {
      await waitFor("Postgres to serve", () => sql`SELECT 1`.catch(() => undefined), { timeoutMs: 30_000 });
    },
    close: () => running.disposeAsync(),
  };
}

/** Backends lead groups of their own, so each of them is signalled; the postmaster first, which starts no more then. */
async function signalServer(dataDir: string, signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
  const postmaster = await serverPid(dataDir);
  if (postmaster === undefined) throw new Error("there is no Postgres to signal");
  process.kill(postmaster, signal);
  const { stdout } = Bun.spawnSync(["ps", "-A", "-o", "pid=,ppid="]);
  for (const line of stdout.toString().trim().split("\n")) {
    const [pid, parent] = line.trim().split(/\s+/).map(Number);
    if (pid === undefined || parent !== postmaster) continue;
    try {
      process.kill(pid, signal);
    } catch (error) {
      // A backend may end at any moment.
      if (errorCode(error) !== "ESRCH") throw error;
    }
  }
}
