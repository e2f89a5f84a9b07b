// PgBouncer between a process under test and its Postgres, as many providers of Postgres have a pooler.
import { chmod, chown, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseAccount } from "../../src/storage/embedded/account.ts";
import { freePort } from "./hop-process.ts";
import { startProgram } from "./program.ts";

/** What a connection to Postgres is lent for. */
export type PoolMode = "session" | "transaction";

export interface TestPgBouncer extends AsyncDisposable {
  /** The same database through the pooler. */
  readonly url: string;
  /** For clients that connect from now on. */
  setMode(mode: PoolMode): Promise<void>;
}

/** What hop says at the start of a connection; providers pass over it as well. */
const IGNORED = "statement_timeout,idle_in_transaction_session_timeout,default_transaction_isolation";

/** @param databaseUrl over TCP, with user and password */
export async function startPgBouncer(databaseUrl: string, mode: PoolMode): Promise<TestPgBouncer> {
  // It does not run as root.
  const account = await chooseAccount();
  const directory = await mkdtemp(join(tmpdir(), "hop-pgbouncer-"));
  const { hostname, port: serverPort, username, password, pathname } = new URL(databaseUrl);
  const name = pathname.slice(1);
  const port = await freePort();
  const file = join(directory, "pgbouncer.ini");
  const configure = (pooling: PoolMode) =>
    Bun.write(
      file,
      `[databases]
${name} = host=${hostname} port=${serverPort} dbname=${name} user=${username} password='${decodeURIComponent(password)}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${pooling}
default_pool_size = 50
ignore_startup_parameters = ${IGNORED}
`,
    );
  await configure(mode);
  await chmod(file, 0o600);
  if (account !== undefined)
    for (const path of [directory, file]) await chown(path, account.uid, account.gid);
  const program = await startProgram({
    command: ["pgbouncer", file],
    directory,
    account,
    isReady: (printed) => printed.includes(`listening on 127.0.0.1:${port}`),
  });
  return {
    url: `postgres://${username}@127.0.0.1:${port}/${name}`,
    setMode: async (next) => {
      await configure(next);
      program.signal("SIGHUP");
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
