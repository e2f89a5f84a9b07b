// Numbered SQL files, applied in one transaction under a lock, so that many processes starting at once migrate once.
import { fileURLToPath } from "node:url";
import Postgrator from "postgrator";
import { translating, type Database, type Queryable } from "./database.ts";

const FOLDER = fileURLToPath(new URL("../../../migrations/", import.meta.url));
const TABLE = "hop_migrations";
/** Any constant will do; all hop processes use this one. */
export const MIGRATION_LOCK = 7_465_001;

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly applied: boolean;
}

/** Migrates to a version, up or down; without one, to the newest. Answers what was run, in order. */
export async function migrate(sql: Database, version?: number): Promise<readonly string[]> {
  return translating(() =>
    sql.begin(async (transaction) => {
      await transaction`SET LOCAL statement_timeout = 0`;
      await transaction`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`;
      const tool = migrator(transaction);
      const steps = await tool.migrate(version === undefined ? "max" : String(version));
      return steps.map((step) => `${step.action === "do" ? "up" : "down"} ${step.version} ${step.name}`);
    }),
  );
}

/** Every migration of this version of hop, and whether the database has it. */
export async function migrationStatus(sql: Database): Promise<readonly Migration[]> {
  return translating(async () => {
    const tool = migrator(sql);
    const [exists] = await sql<{ found: boolean }[]>`SELECT to_regclass(${TABLE}) IS NOT NULL AS found`;
    const current = exists?.found ? await tool.getDatabaseVersion() : 0;
    const migrations = await tool.getMigrations();
    return migrations
      .filter((migration) => migration.action === "do")
      .map(({ version, name }) => ({ version, name, applied: version <= current }));
  });
}

/** True when the database has every migration of this version of hop. */
export async function isMigrated(sql: Database): Promise<boolean> {
  return (await migrationStatus(sql)).every(({ applied }) => applied);
}

/** For those that find it otherwise: only `hop serve` and `hop migrate` change the schema. */
export function schemaMissing(): Error {
  return new Error("the database lacks migrations of this version; run `hop migrate up` or `hop serve`");
}

function migrator(sql: Queryable): Postgrator {
  return new Postgrator({
    driver: "pg",
    migrationPattern: `${FOLDER}*.sql`,
    schemaTable: TABLE,
    execQuery: async (query) => ({ rows: await sql.unsafe(query) }),
  });
}
