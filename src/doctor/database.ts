// Is the database there, new enough, safe, in time, and large enough for the processes that will ask it?
import { z } from "zod";
import type { Config } from "../config.ts";
import { withDeadline } from "../lib/deadline.ts";
import { reasonOf } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { listensForChanges } from "../open-resolver.ts";
import { openStorage, type Storage, waitForPostgres } from "../open-storage.ts";
import { hasEmbeddedPostgres } from "../storage/embedded.ts";
import type { Database } from "../storage/postgres/database.ts";
import { HEAR_MS, LinkListener } from "../storage/postgres/listener.ts";
import { migrationStatus } from "../storage/postgres/migrate.ts";
import { fail, type Finding, ok, PATIENCE_MS, warn } from "./finding.ts";

/** Expiry, days and staleness are read off both clocks. */
const CLOCK_WARN_MS = 1_000;
const CLOCK_FAIL_MS = 60_000;
/** More than a listener waits to hear itself: it knows better why it does not. */
const LISTENING_MS = 2 * HEAR_MS;
/** Beside its pool, a process listens for changed links; with the embedded Postgres it also has a place among its users. */
const OWN_CONNECTIONS = 2;

/** Makes nothing: where there is no database yet, it says so. */
export async function examineDatabase(config: Config, log: Log): Promise<readonly Finding[]> {
  const { databaseUrl, dataDir } = config;
  if (databaseUrl === undefined && !hasEmbeddedPostgres(dataDir)) {
    const mend =
      "start hop serve, which makes one; if there is one, set HOP_DATABASE_URL or HOP_DATA_DIR to it";
    return [warn("database", `there is none in ${dataDir} yet`, mend)];
  }
  const storage = await openStorage(config, log);
  try {
    await waitForPostgres(storage.sql, PATIENCE_MS, log);
    const facts = await readFacts(storage.sql);
    return [
      ok("database version", `Postgres ${facts.version}`),
      judgeRole(facts),
      judgeRights(facts),
      await judgeMigrations(storage.sql),
      judgeClock(facts),
      judgeConnections(facts, config),
      judgeSafety(facts),
      ...(listensForChanges(config) && !facts.replica ? [await tryListening(storage, config, log)] : []),
    ];
  } finally {
    await storage.close();
  }
}

const factsSchema = z.object({
  version: z.string(),
  replica: z.boolean(),
  nowMs: z.coerce.number(),
  connections: z.coerce.number(),
  strangers: z.coerce.number(),
  database: z.string(),
  user: z.string(),
  mayCreate: z.boolean(),
  othersTables: z.coerce.number(),
  fsync: z.string(),
  synchronousCommit: z.string(),
});
export type DatabaseFacts = z.infer<typeof factsSchema> & { readonly hostNowMs: number };

async function readFacts(sql: Database): Promise<DatabaseFacts> {
  // The first question may have to connect; the second is answered at once, and its time is compared.
  const sentMs = Date.now();
  const [row] = await sql`
    SELECT current_setting('server_version') AS version,
      pg_is_in_recovery() AS replica, extract(epoch FROM clock_timestamp()) * 1000 AS "nowMs",
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
      (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND application_name NOT LIKE 'hop%') AS strangers,
      current_database() AS database, current_user AS user,
      coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS "mayCreate",
      (SELECT count(*) FROM pg_class
        WHERE oid IN (to_regclass('links'), to_regclass('clicks')) AND NOT pg_has_role(relowner, 'USAGE')) AS "othersTables",
      current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS "synchronousCommit"`;
  return { ...factsSchema.parse(row), hostNowMs: (sentMs + Date.now()) / 2 };
}

export function judgeRole({ replica }: DatabaseFacts): Finding {
  const name = "database role";
  if (!replica) return ok(name, "takes writes");
  return fail(name, "is a replica and takes no writes", "point HOP_DATABASE_URL at the primary");
}

/** hop makes and drops a table a day: reading and writing is not enough. */
export function judgeRights({ database, user, mayCreate, othersTables }: DatabaseFacts): Finding {
  const name = "database rights";
  if (!mayCreate)
    return fail(
      name,
      `${user} may not make tables in ${database}`,
      `make it the owner: ALTER DATABASE "${database}" OWNER TO "${user}"`,
    );
  if (othersTables === 0) return ok(name, `${user} may change the schema`);
  const mend = `give them to it, as a superuser, each table and sequence: ALTER TABLE … OWNER TO "${user}"`;
  return fail(name, `the tables belong to somebody else than ${user}`, mend);
}

async function judgeMigrations(sql: Database): Promise<Finding> {
  const name = "migrations";
  const missing = (await migrationStatus(sql)).filter(({ applied }) => !applied);
  if (missing.length === 0) return ok(name, "the schema is this version's");
  const says = `${missing.length} are missing, from number ${missing[0]?.version} on`;
  return warn(name, says, "start hop serve, which applies them, or run hop migrate up");
}

export function judgeClock({ nowMs, hostNowMs }: DatabaseFacts): Finding {
  const name = "clock";
  const apartMs = Math.round(Math.abs(nowMs - hostNowMs));
  const says = `this host and Postgres are ${apartMs} ms apart`;
  if (apartMs <= CLOCK_WARN_MS) return ok(name, says);
  const judge = apartMs > CLOCK_FAIL_MS ? fail : warn;
  return judge(name, says, "synchronise both clocks (chrony, systemd-timesyncd)");
}

export function judgeConnections(
  { connections, strangers }: DatabaseFacts,
  { workers, databaseConnections }: Pick<Config, "workers" | "databaseConnections">,
): Finding {
  const name = "database connections";
  // While processes are replaced there is one more.
  const processes = workers === 1 ? 1 : workers + 1;
  const wanted = processes * (databaseConnections + OWN_CONNECTIONS);
  const free = connections - strangers;
  const says = `this host may open ${wanted}; Postgres takes ${connections}, and others have ${strangers}`;
  const mend = "lower HOP_DATABASE_CONNECTIONS or HOP_WORKERS, or raise max_connections";
  if (wanted > free) return fail(name, says, mend);
  return wanted > free * TIGHT ? warn(name, says, mend) : ok(name, says);
}

/** An edit must reach all servers; a pooler may keep it from them. (A replica takes no listeners.) */
async function tryListening(storage: Storage, config: Config, log: Log): Promise<Finding> {
  const listener = new LinkListener({
    database: {
      address: storage.address,
      statementTimeoutMs: config.statementTimeoutMs,
      applicationName: "hop doctor",
    },
    sql: storage.sql,
    onChange: nothing,
    onGap: nothing,
    onListening: nothing,
    log,
  });
  const name = "changed links";
  try {
    await withDeadline(listener.listening, LISTENING_MS, "listening for changed links");
    return ok(name, "servers hear of them");
  } catch (error) {
    return fail(name, "servers would not hear of them", reasonOf(error));
  } finally {
    await listener.close();
  }
}

const nothing = () => undefined;

/** Other hosts and hop work need some too. */
const TIGHT = 0.8;

export function judgeSafety({ fsync, synchronousCommit }: DatabaseFacts): Finding {
  const name = "database durability";
  const off = [
    ...(fsync === "off" ? ["fsync"] : []),
    ...(synchronousCommit === "off" ? ["synchronous_commit"] : []),
  ];
  if (off.length === 0) return ok(name, "what was confirmed survives a crash");
  return warn(
    name,
    `${off.join(" and ")} off: a crash may lose what was confirmed`,
    `turn ${off.join(" and ")} on`,
  );
}
