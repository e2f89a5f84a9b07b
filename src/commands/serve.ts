// hop serve: the HTTP server, until SIGINT or SIGTERM.
import type { Command } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { startServer } from "../compose.ts";
import { readConfig } from "./config.ts";
import { openLog } from "./log.ts";
import { nextSignal } from "./signals.ts";

export function addServe(program: Command): void {
  program
    .command("serve")
    .description("serve short links and the API; without HOP_DATABASE_URL it starts an embedded Postgres")
    .option("--port <number>", "port of the public listener (HOP_PORT)")
    .option("--workers <number>", "processes that share the port (HOP_WORKERS)")
    .option("--preset <version>", "behave as an earlier version, such as v0.1")
    .action(serve);
}

async function serve(flags: { port?: string; workers?: string; preset?: string }): Promise<void> {
  const config = readConfig(flags);
  const log = openLog(config);
  const signal = nextSignal();
  const hop = await startServer(config, log, packageJson.version);
  if (hop.newAdminKey !== undefined) {
    console.log(`Your admin API key, shown only now: ${hop.newAdminKey}`);
  }
  const admin = hop.adminUrl === undefined ? "" : ` (metrics and health at ${hop.adminUrl})`;
  console.log(`hop is ready at ${hop.baseUrl}${admin}`);
  log.info({ signal: await signal }, "stopping");
  // A second signal means: now.
  void nextSignal().then(() => process.exit(1));
  await hop.close();
  // Everything is stored and closed; a connection whose other end is gone must not hold the process for minutes.
  process.exit();
}
