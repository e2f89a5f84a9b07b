// hop doctor: looks at everything hop needs. Exit 0 when nothing fails (warnings may be), 1 when something does.
import type { Command } from "commander";
import { type Config, ConfigError } from "../config.ts";
import { examineDatabase } from "../doctor/database.ts";
import { examineDisk } from "../doctor/disk.ts";
import { examine, fail, type Finding, ok, worst } from "../doctor/finding.ts";
import { examineHost } from "../doctor/host.ts";
import { examineRedis } from "../doctor/redis.ts";
import { createLog } from "../lib/log.ts";
import { readConfig } from "./config.ts";

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description(
      "check configuration, database, Redis, disk, clock and system, and say how to mend each; exit code 0 nothing fails, 1 something does",
    )
    .option("--json", "as JSON")
    .action(async (options: { json?: true }) => {
      const findings = await examineAll();
      const status = worst(findings);
      console.log(
        options.json ? JSON.stringify({ status, findings }, undefined, 2) : findings.map(lines).join("\n"),
      );
      process.exitCode = status === "fail" ? 1 : 0;
    });
}

async function examineAll(): Promise<readonly Finding[]> {
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Each names its variable and says what to write instead.
    return error.problems.map((problem) =>
      fail("configuration", problem, "correct it and run hop doctor again"),
    );
  }
  const log = createLog({ level: "silent", pretty: false, secrets: [] });
  const parts = await Promise.all([
    examine("database", () => examineDatabase(config, log)),
    examine("redis", () => examineRedis(config, log)),
    examine("data directory", () => examineDisk(config)),
    examine("system", () => examineHost(config)),
  ]);
  return [ok("configuration", "is valid"), ...parts.flat()];
}

function lines({ name, status, says, mend }: Finding): string {
  const line = `${status.padEnd(6)}${name.padEnd(22)}${says}`;
  return mend === undefined ? line : `${line}\n${" ".repeat(28)}→ ${mend}`;
}
