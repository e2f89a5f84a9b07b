// hop serve --workers N: a supervisor, until SIGINT or SIGTERM, that replaces its processes on SIGHUP.
import type { Config } from "../config.ts";
import { EndedError } from "../fleet/process.ts";
import type { Log } from "../lib/log.ts";
import { type Fleet, startFleet } from "../open-fleet.ts";
import { announce } from "./announce.ts";
import type { ServeFlags } from "./config.ts";
import { openLog } from "./log.ts";
import { firstSignal, forceAfter, onHangUp } from "./signals.ts";

export async function superviseProcesses(config: Config, flags: ServeFlags): Promise<void> {
  const log = openLog(config);
  let started: Fleet | undefined;
  const force = () => {
    started?.kill();
    process.exit(1);
  };
  const signal = firstSignal(force);
  const fleet = await start(config, flags, log);
  started = fleet;
  onHangUp(reloads(fleet, log));
  announce({ ...fleet.first, adminUrl: fleet.adminUrl });
  const end = await Promise.race([signal, fleet.gaveUp.then((reason) => ({ reason }))]);
  log.info(typeof end === "string" ? { signal: end } : end, "stopping");
  // Once for the processes, which are then killed, and once for the embedded Postgres.
  forceAfter(config.drainMs + config.handoverMs + 2 * config.stopTimeoutMs, force);
  const killed = await fleet.close();
  if (typeof end !== "string") {
    throw new Error(`${end.reason}, as others before it; see the log above for why, and start hop again`);
  }
  if (killed > 0)
    throw new Error(`${killed} processes did not stop in time and were killed (HOP_STOP_TIMEOUT_MS)`);
  process.exit();
}

async function start(config: Config, flags: ServeFlags, log: Log): Promise<Fleet> {
  try {
    return await startFleet({
      config,
      log,
      pid: process.pid,
      command: (slot, port) => command(flags, slot, port),
    });
  } catch (error) {
    // It has said itself what has to be mended.
    if (error instanceof EndedError && error.ending.code !== null) process.exit(error.ending.code);
    throw error;
  }
}

/** This program again, with the flags that it was given. */
function command(flags: ServeFlags, slot: number, port: "claim" | number): readonly string[] {
  const given = { ...flags, ...(port !== "claim" && { port: String(port) }) };
  const options = Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]);
  const [program = "", script = ""] = process.argv;
  return [
    program,
    script,
    "serve-process",
    ...options,
    port === "claim" ? "--claims" : "--joins",
    "--slot",
    String(slot),
  ];
}

/** One reload after another; what is asked for while one runs is one more. */
function reloads(fleet: Fleet, log: Log): () => void {
  let wanted = 0;
  const run = async () => {
    while (wanted > 0) {
      wanted = 1;
      log.info({}, "replacing the processes one after another");
      const outcome = await fleet.reload();
      if ("abandoned" in outcome)
        log.error(outcome, "the reload was abandoned; the processes that are left go on");
      else log.info(outcome, "reloaded");
      wanted--;
    }
  };
  return () => {
    wanted++;
    if (wanted === 1) void run();
  };
}
