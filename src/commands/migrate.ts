// hop migrate: the database schema, up, down and status.
import { type Command, InvalidArgumentError } from "commander";
import type { Database } from "../storage/postgres/database.ts";
import { migrate, migrationStatus } from "../storage/postgres/migrate.ts";
import { withStorage } from "./config.ts";

export function addMigrate(program: Command): void {
  const command = program
    .command("migrate")
    .description("bring the database schema up or down (serve does `up` by itself)");
  command
    .command("up")
    .description("apply every migration that is missing")
    .action(() => withStorage(async ({ sql }) => report(await migrate(sql))));
  command
    .command("down")
    .description("undo migrations; THIS DELETES DATA")
    .requiredOption("--to <version>", "the version to go back to; 0 undoes everything", parseVersion)
    .action(({ to }: { to: number }) => withStorage(async ({ sql }) => report(await undo(sql, to))));
  command
    .command("status")
    .description("list migrations; exit code 1 when some are missing")
    .action(() =>
      withStorage(async ({ sql }) => {
        const migrations = await migrationStatus(sql);
        for (const { version, name, applied } of migrations) {
          console.log(`${String(version).padStart(3, "0")}  ${applied ? "applied" : "missing"}  ${name}`);
        }
        if (migrations.some((migration) => !migration.applied)) process.exitCode = 1;
      }),
    );
}

/** `migrate` would go up to a version that is not there yet. */
async function undo(sql: Database, to: number): Promise<readonly string[]> {
  const applied = (await migrationStatus(sql)).filter((migration) => migration.applied);
  return applied.some(({ version }) => version > to) ? migrate(sql, to) : [];
}

function report(steps: readonly string[]): void {
  console.log(steps.length === 0 ? "nothing to do" : steps.join("\n"));
}

function parseVersion(text: string): number {
  if (!/^\d{1,4}$/.test(text))
    throw new InvalidArgumentError("It is a number, as `hop migrate status` shows it.");
  return Number(text);
}
