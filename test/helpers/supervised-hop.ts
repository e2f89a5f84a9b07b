// hop with several processes, in a data directory of its own, and what /readyz says of each.
import { mkdtemp, rm } from "node:fs/promises";
import { chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type HopEnvironment, type HopProcess, startHop } from "./hop-process.ts";
import { waitFor } from "./wait-for.ts";

export interface FleetProcess extends HopProcess {
  /** HOP_DATA_DIR. */
  readonly directory: string;
  /** Its exit code, once it has ended by itself. */
  ended(): Promise<number | null>;
}

let running: FleetProcess[] = [];

export async function startFleet(env: HopEnvironment): Promise<FleetProcess> {
  const directory = await mkdtemp(join(tmpdir(), "hop-fleet-"));
  // Open to the user that an embedded Postgres runs as under root.
  chmodSync(directory, 0o711);
  const hop = await startHop({ HOP_DATA_DIR: directory, ...env });
  const fleet = { ...hop, directory, ended: () => hop.kill("SIGTERM") };
  running.push(fleet);
  return fleet;
}

/** Ends every fleet that was started here, in order, and removes its directory. */
export async function stopAll(): Promise<void> {
  const stopping = running;
  running = [];
  for (const fleet of stopping) {
    const processes = await processesOf(fleet).catch(() => []);
    await fleet.kill("SIGTERM");
    await waitFor("no process to be left", () => processes.every(({ pid }) => !isAlive(pid)));
    await rm(fleet.directory, { recursive: true, force: true });
  }
}

const readySchema = z.object({
  processes: z.array(z.object({ process: z.number(), pid: z.number(), state: z.string() })),
});

export async function processesOf(hop: Pick<HopProcess, "adminUrl">) {
  const answer = await fetch(`${hop.adminUrl}/readyz`);
  return readySchema.parse(await answer.json()).processes;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}
