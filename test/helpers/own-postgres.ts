// A Postgres that hop does not bring along, as an operator has one: server, pg_dump and pg_restore of this machine.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, chooseAccount } from "../../src/storage/embedded/account.ts";
import { cleanEnvironment, run } from "../../src/storage/embedded/bounded.ts";
import { freePort } from "./hop-process.ts";
import { findPostgresPrograms } from "./postgres-programs.ts";
import { waitFor } from "./wait-for.ts";

const PROGRAM_MS = 60_000;

/** PEM texts. */
export interface ServerTls {
  readonly certificate: string;
  readonly key: string;
  /** Whose certificates clients may show. */
  readonly authority: string;
}

export class OwnPostgres {
  /** Of the database `postgres`, which is empty at first. */
  readonly url: string;
  readonly #programs: string;
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(url: string, programs: string, directory: string, child: ChildProcess) {
    this.url = url;
    this.#programs = programs;
    this.#directory = directory;
    this.#child = child;
  }

  /**
   * Makes a cluster and waits until it answers. It is killed when the test process ends.
   * @param tls it speaks TLS to who asks for it
   */
  static async start(tls?: ServerTls): Promise<OwnPostgres> {
    const programs = findPostgresPrograms();
    if (programs === undefined) throw new Error("no Postgres with pg_dump is installed");
    const account = await chooseAccount();
    const directory = mkdtempSync(join(tmpdir(), "hop-own-postgres-"));
    if (account !== undefined) chownSync(directory, account.uid, account.gid);
    const data = join(directory, "data");
    await must(join(programs, "initdb"), ["-D", data, "-U", "hop", "-A", "trust", "--no-sync"], account);
    if (tls !== undefined) {
      const files = { "server.crt": tls.certificate, "server.key": tls.key, "ca.crt": tls.authority };
      for (const [name, text] of Object.entries(files)) {
        writeFileSync(join(data, name), text, { mode: 0o600 });
        if (account !== undefined) chownSync(join(data, name), account.uid, account.gid);
      }
    }
    const port = await freePort();
    const place = ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", directory];
    const child = spawn(
      join(programs, "postgres"),
      [...place, ...(tls === undefined ? [] : ["-c", "ssl=on", "-c", "ssl_ca_file=ca.crt"])],
      {
        env: cleanEnvironment,
        stdio: "ignore",
        ...(account && { uid: account.uid, gid: account.gid }),
      },
    );
    const killNow = () => child.kill("SIGKILL");
    process.once("exit", killNow);
    child.once("exit", () => process.off("exit", killNow));
    const postgres = new OwnPostgres(`postgres://hop@127.0.0.1:${port}/postgres`, programs, directory, child);
    await waitFor("Postgres to answer", async () => {
      const { code } = await postgres.#client("psql", ["-d", postgres.url, "-c", "SELECT 1"]);
      return code === 0;
    });
    return postgres;
  }

  /** While it runs and is written to. */
  async dump(file: string): Promise<void> {
    await must(join(this.#programs, "pg_dump"), ["-Fc", "-d", this.url, "-f", file], undefined);
  }

  async restore(file: string): Promise<void> {
    const args = ["--exit-on-error", "--no-owner", "-d", this.url, file];
    await must(join(this.#programs, "pg_restore"), args, undefined);
  }

  /** The end: the process and its directory go. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, "exit");
      this.#child.kill("SIGQUIT");
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #client(program: string, args: readonly string[]) {
    return run(join(this.#programs, program), args, { account: undefined, timeoutMs: PROGRAM_MS });
  }
}

async function must(program: string, args: readonly string[], account: Account | undefined): Promise<void> {
  const { code, output } = await run(program, args, { account, timeoutMs: PROGRAM_MS });
  if (code !== 0) throw new Error(`${program} failed: ${output}`);
}
