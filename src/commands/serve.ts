// hop serve: the HTTP server, until SIGINT or SIGTERM; with --workers more than 1 a supervisor of as many processes.
import type { Command } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { startServer } from "../compose.ts";
import type { Config } from "../config.ts";
import { announce } from "./announce.ts";
import { readConfig, type ServeFlags } from "./config.ts";
import { openLog } from "./log.ts";
import { superviseProcesses } from "./serve-fleet.ts";
import { firstSignal, forceAfter, onHangUp } from "./signals.ts";

export function addServe(program: Command): void {
  program
    .command("serve")
    .description("serve short links and the API; without HOP_DATABASE_URL it starts an embedded Postgres")
    .option("--port <number>", "port of the public listener (HOP_PORT)")
    .option("--workers <number>", "processes that share the port (HOP_WORKERS)")
    .option("--preset <version>", "behave as an earlier version, such as v0.1")
    .action(async (flags: ServeFlags) => {
      const config = readConfig(flags);
      await (config.workers > 1 ? superviseProcesses(config, flags) : serve(config));
    });
}

async function serve(config: Config): Promise<void> {
  const log = openLog(config);
  const signal = firstSignal(endNow);
  onHangUp(() =>
    log.warn({}, "one process cannot be replaced without a gap; run hop with --workers 2 or more"),
  );
  const hop = await startServer(config, log, packageJson.version);
  announce(hop);
  log.info({ signal: await signal }, "stopping");
  forceAfter(config.drainMs + config.stopTimeoutMs, endNow);
  await hop.close();
  // Everything is stored and closed; a connection whose other end is gone must not hold the process for minutes.
  process.exit();
}

function endNow(): void {
  process.exit(1);
}
