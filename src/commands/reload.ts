// hop reload: replaces the processes of a running `hop serve --workers N` one after another, as after an upgrade.
import { type Command, InvalidArgumentError } from "commander";
import { findRecords, type FleetRecord } from "../fleet/record.ts";
import { tryFileLock } from "../storage/embedded/file-lock.ts";
import { waitForReload } from "../fleet/reload.ts";
import { readConfig } from "./config.ts";

export function addReload(program: Command): void {
  program
    .command("reload")
    .description(
      "replace the processes of `hop serve --workers N` one after another, without a failed request; exit code 1 when it was abandoned",
    )
    .option("--port <number>", "the hop that listens there, when several use this HOP_DATA_DIR", parsePort)
    .action(reload);
}

async function reload({ port }: { port?: number }): Promise<void> {
  const { dataDir } = readConfig();
  const running = choose(await findRecords(dataDir, tryFileLock), port, dataDir);
  process.kill(running.pid, "SIGHUP");
  const outcome = await waitForReload(dataDir, running, tryFileLock);
  if ("abandoned" in outcome) {
    throw new Error(
      `the reload was abandoned (${outcome.abandoned}); the processes that are left go on; mend that and reload again`,
    );
  }
  console.log(`${outcome.replaced} processes were replaced`);
}

function choose(all: readonly FleetRecord[], port: number | undefined, dataDir: string): FleetRecord {
  const matching = port === undefined ? all : all.filter((record) => record.port === port);
  const [found, another] = matching;
  if (another !== undefined) {
    const ports = matching.map((record) => record.port).join(", ");
    throw new Error(`several hop use ${dataDir}; say which with --port: one of ${ports}`);
  }
  if (found === undefined) {
    const where = port === undefined ? "" : ` on port ${port}`;
    throw new Error(
      `no hop with several processes runs${where} with HOP_DATA_DIR ${dataDir}; start it with --workers 2 or more, or set HOP_DATA_DIR`,
    );
  }
  return found;
}

function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError("It is a port number.");
  return Number(text);
}
