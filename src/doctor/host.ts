// Does this system let hop have as many connections as come, and replace its processes without breaking one?
import { readFile } from "node:fs/promises";
import type { Config } from "../config.ts";
import { type Migration, readMigration } from "../fleet/tcp-migrate.ts";
import { type Finding, ok, warn } from "./finding.ts";

/** A connection is an open file. */
const FEW_FILES = 4_096;

export async function examineHost({ workers }: Pick<Config, "workers">): Promise<readonly Finding[]> {
  return [judgeFiles(await readFileLimit()), judgeMigration(await readMigration(), workers)];
}

/** The hard limit, to which hop raises its own; undefined where the system has no /proc. */
async function readFileLimit(): Promise<number | undefined> {
  try {
    const limits = await readFile("/proc/self/limits", "utf8");
    const hard = /^Max open files +\S+ +(\S+)/m.exec(limits)?.[1];
    return hard === "unlimited" ? Infinity : Number(hard);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

export function judgeFiles(limit: number | undefined): Finding {
  const name = "open files";
  if (limit === undefined) return ok(name, "this system does not say how many a process may open");
  const says = `a process may open ${limit}`;
  if (limit >= FEW_FILES) return ok(name, says);
  return warn(name, says, `raise the limit (ulimit -Hn, LimitNOFILE=) to ${FEW_FILES} or more`);
}

export function judgeMigration(migration: Migration, workers: number): Finding {
  const name = "restarts";
  if (workers === 1) return ok(name, "one process; a restart has a gap (HOP_WORKERS=2 or more has none)");
  if (migration === "on") return ok(name, "connections that wait while a process is replaced go to another");
  if (migration === "off") {
    return warn(
      name,
      "a connection that waits in the moment in which a process is replaced may be reset",
      "set net.ipv4.tcp_migrate_req=1 (sysctl as root, or the sysctls of the container)",
    );
  }
  return warn(
    name,
    "this system does not spread connections over processes, nor hand them over; both are Linux's",
    "use HOP_WORKERS=1 here, or Linux 5.14 or newer",
  );
}
