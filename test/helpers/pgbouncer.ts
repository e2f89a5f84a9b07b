// PgBouncer between a process under test and its Postgres, as many providers of Postgres have a pooler.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseAccount } from "../../src/storage/embedded/account.ts";
import { freePort } from "./hop-process.ts";
import { waitFor } from "./wait-for.ts";

/** What hop says at the start of a connection; providers pass over it as well. */
const IGNORED = "statement_timeout,idle_in_transaction_session_timeout,default_transaction_isolation";

/**
 * @param databaseUrl over TCP, with user and password
 * @param mode what a connection to Postgres is lent for
 * @returns the same database through the pooler
 */
export async function startPgBouncer(
  databaseUrl: string,
  mode: "session" | "transaction",
): Promise<{ readonly url: string } & AsyncDisposable> {
  // It does not run as root.
  const account = await chooseAccount();
  const directory = await mkdtemp(join(tmpdir(), "hop-pgbouncer-"));
  const { hostname, port: serverPort, username, password, pathname } = new URL(databaseUrl);
  const name = pathname.slice(1);
  const port = await freePort();
  const file = join(directory, "pgbouncer.ini");
  await Bun.write(
    file,
    `[databases]
${name} = host=${hostname} port=${serverPort} dbname=${name} user=${username} password='${decodeURIComponent(password)}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = 50
ignore_startup_parameters = ${IGNORED}
`,
  );
  if (account !== undefined)
    for (const path of [directory, file]) await chown(path, account.uid, account.gid);
  await chmod(file, 0o600);
  let printed = "";
  const child = spawn("pgbouncer", [file], {
    stdio: ["ignore", "ignore", "pipe"],
    ...(account && { uid: account.uid, gid: account.gid }),
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const killNow = () => child.kill("SIGKILL");
  process.once("exit", killNow);
  await waitFor("PgBouncer to listen", () => {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended: ${printed}`);
    return printed.includes(`listening on 127.0.0.1:${port}`);
  });
  return {
    url: `postgres://${username}@127.0.0.1:${port}/${name}`,
    [Symbol.asyncDispose]: async () => {
      process.off("exit", killNow);
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await gone;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
