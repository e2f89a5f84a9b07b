// hop work: stores the clicks of the stream, until SIGINT or SIGTERM. Any number of these may run.
import type { Command } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { startWorker } from "../compose-worker.ts";
import { readConfig } from "./config.ts";
import { openLog } from "./log.ts";
import { firstSignal } from "./signals.ts";

export function addWork(program: Command): void {
  program
    .command("work")
    .description("store clicks from the Redis stream (HOP_REDIS_URL); any number of these may run")
    .action(work);
}

async function work(): Promise<void> {
  const config = readConfig();
  const log = openLog(config);
  const signal = firstSignal(() => process.exit(1));
  const worker = await startWorker(config, log, packageJson.version);
  const admin = worker.adminUrl === undefined ? "" : ` (metrics and health at ${worker.adminUrl})`;
  const streams = worker.partitions === 1 ? "the stream" : `${worker.partitions} streams`;
  console.log(`hop work is ready: ${worker.name} stores the clicks of ${streams}${admin}`);
  log.info({ signal: await signal }, "stopping");
  await worker.close();
  process.exit();
}
