// Finds the Postgres that this machine has of its own.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { which } from "./which.ts";

const PROGRAMS = ["initdb", "postgres", "pg_dump", "pg_restore", "psql"];
/** Debian keeps the programs of each version apart, and only the clients are on PATH. */
const DEBIAN = "/usr/lib/postgresql";

/** The directory of the newest Postgres whose programs are all there; undefined when there is none. */
export function findPostgresPrograms(): string | undefined {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  const onPath = (which("postgres") ?? "").replace(/\/postgres$/, "");
  return [...versions.map((version) => join(DEBIAN, version, "bin")), onPath].find(
    (directory) => directory !== "" && PROGRAMS.every((program) => existsSync(join(directory, program))),
  );
}
