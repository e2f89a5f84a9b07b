#!/usr/bin/env bun
// argv → a command. With commands/ the only place that touches process.*.
import { Command } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { addBench } from "./commands/bench.ts";
import { addDead } from "./commands/dead.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addKeys } from "./commands/keys.ts";
import { addLedger } from "./commands/ledger.ts";
import { addReload } from "./commands/reload.ts";
import { addRollups } from "./commands/rollups.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addServe } from "./commands/serve.ts";
import { addServeProcess } from "./commands/serve-process.ts";
import { addWork } from "./commands/work.ts";
import { ConfigError } from "./config.ts";
import { explain } from "./lib/errors.ts";
import { createMask } from "./lib/secrets.ts";

/** A command could not do its work; what it prints says why. (A command that has set a code of its own keeps it.) */
const EXIT_FAILED = 1;
/** The configuration or the command line has to be mended. */
const EXIT_USAGE = 64;

const program = new Command("hop")
  .description("Short links whose clicks are counted exactly once.")
  .version(packageJson.version)
  .showHelpAfterError("(hop --help shows what there is)")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));
addServe(program);
addServeProcess(program);
addWork(program);
addReload(program);
addMigrate(program);
addKeys(program);
addLedger(program);
addDoctor(program);
addDead(program);
addRollups(program);
addBench(program);

try {
  await program.parseAsync();
} catch (error) {
  const problems = error instanceof ConfigError ? error.problems : [explain(error)];
  const mask = createMask();
  for (const problem of problems) console.error(`hop: ${mask(problem)}`);
  process.exitCode ||= error instanceof ConfigError ? EXIT_USAGE : EXIT_FAILED;
}
