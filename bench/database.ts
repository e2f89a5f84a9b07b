// SQL to the embedded Postgres of a hop that runs: for what no API fills or counts.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";

export type Sql = postgres.Sql;

/** The only role of an embedded Postgres; it may COPY to and from files. */
const ROLE = "hop";
const CONNECT_TIMEOUT_SECONDS = 10;
/** An interrupted benchmark does not wait for the statement it was at. */
export const END_TIMEOUT_SECONDS = 2;

/** @throws when no Postgres runs in this data directory */
export async function connect(dataDir: string): Promise<Sql> {
  const home = join(dataDir, "postgres");
  const [, , , port, socketDirectory] = (await readFile(join(home, "data", "postmaster.pid"), "utf8")).split(
    "\n",
  );
  return postgres({
    path: `${socketDirectory}/.s.PGSQL.${port}`,
    username: ROLE,
    password: (await readFile(join(home, "password"), "utf8")).trim(),
    database: "postgres",
    max: 1,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    onnotice: () => undefined,
    connection: { application_name: "hop bench", TimeZone: "UTC" },
  });
}
