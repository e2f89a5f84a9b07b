// A primary and its streaming replica, real servers on sockets of their own, which tests may delay, kill and freeze.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, chooseAccount } from "../../src/storage/embedded/account.ts";
import { type Binaries, findBinaries, reachableBinaries } from "../../src/storage/embedded/binaries.ts";
import { cleanEnvironment, run } from "../../src/storage/embedded/bounded.ts";
import { type Database, openDatabase } from "../../src/storage/postgres/database.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { waitFor } from "./wait-for.ts";

const USER = "hop";
const PASSWORD = "pair";
const PLACE_FOR_COPIES = "/var/lib/hop";

/** One server of the pair. */
export class TestPostgres {
  readonly #home: string;
  readonly #binaries: Binaries;
  readonly #account: Account | undefined;
  readonly #proxy: TcpProxy;
  readonly #sql: Database;
  #child: ChildProcess | undefined;
  #printed = "";

  private constructor(
    home: string,
    binaries: Binaries,
    account: Account | undefined,
    proxy: TcpProxy,
    sql: Database,
  ) {
    this.#home = home;
    this.#binaries = binaries;
    this.#account = account;
    this.#proxy = proxy;
    this.#sql = sql;
  }

  static async open(home: string, binaries: Binaries, account: Account | undefined): Promise<TestPostgres> {
    const path = join(home, ".s.PGSQL.5432");
    const sql = openDatabase({
      address: { path, username: USER, password: PASSWORD, database: "postgres" },
      connections: 2,
      statementTimeoutMs: 60_000,
      applicationName: "test",
    });
    return new TestPostgres(home, binaries, account, await TcpProxy.open({ path }), sql);
  }

  /** Straight to the server. */
  get sql(): Database {
    return this.#sql;
  }

  get proxy(): TcpProxy {
    return this.#proxy;
  }

  get url(): string {
    return `postgres://${USER}:${PASSWORD}@127.0.0.1:${this.#proxy.port}/postgres`;
  }

  /** Starts it, or again after a kill, and waits until it answers. */
  async start(): Promise<void> {
    const settings = { listen_addresses: "", unix_socket_directories: this.#home, fsync: "off" };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(this.#binaries.postgres, [...args, "-D", join(this.#home, "data")], {
      cwd: "/",
      env: cleanEnvironment,
      stdio: ["ignore", "pipe", "pipe"],
      ...(this.#account && { uid: this.#account.uid, gid: this.#account.gid }),
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => {
        this.#printed = (this.#printed + text).slice(-8_192);
      });
    }
    const killNow = () => child.kill("SIGKILL");
    process.once("exit", killNow);
    child.once("exit", () => process.off("exit", killNow));
    await waitFor("Postgres to answer", async () => {
      if (child.exitCode !== null) throw new Error(`Postgres ended: ${this.#printed}`);
      return this.#sql`SELECT 1`.catch(() => undefined);
    });
  }

  /** Ends it with everything that belongs to it, as a power cut would. */
  async kill(): Promise<void> {
    await this.#signal("SIGKILL");
  }

  /** Stops every process of it without ending any: connections stay open and nothing answers. */
  async freeze(): Promise<void> {
    await this.#signal("SIGSTOP");
  }

  async thaw(): Promise<void> {
    await this.#signal("SIGCONT");
  }

  async close(): Promise<void> {
    await this.kill();
    await this.#sql.end({ timeout: 0 });
    await this.#proxy.close();
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = signal === "SIGKILL" ? once(child, "exit") : undefined;
    // The postmaster first, so that it starts no other.
    for (const pid of [child.pid, ...(await childrenOf(child.pid))]) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    }
    await gone;
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const { output } = await run("ps", ["-A", "-o", "pid=,ppid="], { account: undefined, timeoutMs: 5_000 });
  const rows = output.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  return rows.flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []));
}

export class PostgresPair {
  readonly primary: TestPostgres;
  readonly replica: TestPostgres;
  readonly #directory: string;

  private constructor(primary: TestPostgres, replica: TestPostgres, directory: string) {
    this.primary = primary;
    this.replica = replica;
    this.#directory = directory;
  }

  /** @param applyDelayMs the replica shows a commit this long after the primary */
  static async start(applyDelayMs: number): Promise<PostgresPair> {
    const directory = await mkdtemp(join(tmpdir(), "hop-pair-"));
    await chmod(directory, 0o711);
    const account = await chooseAccount();
    const binaries = await reachableBinaries(
      await findBinaries(`${process.platform}-${process.arch}`),
      account,
      PLACE_FOR_COPIES,
    );
    const homes = { primary: join(directory, "primary"), replica: join(directory, "replica") };
    await mkdir(homes.primary);
    await makeCluster(homes.primary, binaries, account);
    // A cluster that never ran is a consistent copy, and the primary still has all of its log.
    await cp(homes.primary, homes.replica, { recursive: true });
    const upstream = `host=${homes.primary} port=5432 user=${USER} password=${PASSWORD}`;
    await writeFile(join(homes.replica, "data/standby.signal"), "");
    await appendFile(
      join(homes.replica, "data/postgresql.conf"),
      `primary_conninfo = '${upstream}'\nrecovery_min_apply_delay = ${applyDelayMs}\nwal_retrieve_retry_interval = 200\n`,
    );
    await giveTo(account, directory);
    const pair = new PostgresPair(
      await TestPostgres.open(homes.primary, binaries, account),
      await TestPostgres.open(homes.replica, binaries, account),
      directory,
    );
    try {
      await pair.primary.start();
      await pair.replica.start();
    } catch (error) {
      await pair.stop();
      throw error;
    }
    return pair;
  }

  /** Waits until the replica shows what the primary has now. */
  async caughtUp(): Promise<void> {
    const [now] = await this.primary.sql<{ lsn: string }[]>`SELECT pg_current_wal_flush_lsn()::text AS lsn`;
    await waitFor("the replica to catch up", async () => {
      const [row] = await this.replica.sql<{ there: boolean }[]>`
        SELECT pg_last_wal_replay_lsn() >= ${now?.lsn ?? ""}::pg_lsn AS there`;
      return row?.there;
    });
  }

  async stop(): Promise<void> {
    await Promise.all([this.primary.close(), this.replica.close()]);
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function makeCluster(home: string, binaries: Binaries, account: Account | undefined): Promise<void> {
  const passwordFile = join(home, "password");
  await writeFile(passwordFile, `${PASSWORD}\n`);
  await giveTo(account, home);
  const { code, output } = await run(
    binaries.initdb,
    [
      "--pgdata=data",
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      "--no-instructions",
      "--set=shared_buffers=32MB",
      "--set=max_connections=60",
    ],
    { account, timeoutMs: 60_000, cwd: home },
  );
  if (code !== 0) throw new Error(`initdb failed: ${output}`);
}

async function giveTo(account: Account | undefined, path: string): Promise<void> {
  if (account === undefined) return;
  const owner = `${account.uid}:${account.gid}`;
  const { code, output } = await run("chown", ["-R", owner, path], { account: undefined, timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`chown failed: ${output}`);
}
