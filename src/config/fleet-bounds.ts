// The bounds of stopping, and of several processes on one host: restarts, crashes and answers.

import { bound, HOUR_MS, ms, type Bound } from "./bounds.ts";
import { integer } from "./kinds.ts";

/** A wait that may be left out. */
const optionalMs = (name: string, standard: number, doc: string) => ({
  name,
  group: "Serving" as const,
  kind: integer(0, HOUR_MS, "ms"),
  default: String(standard),
  doc,
});

export const FLEET_BOUNDS = {
  drainMs: optionalMs(
    "HOP_DRAIN_MS",
    0,
    "hop that is told to stop serves on for this long, with /readyz at 503; behind a load balancer, the time that one takes to notice",
  ),
  handoverMs: optionalMs(
    "HOP_HANDOVER_MS",
    500,
    "a process that is replaced serves on for this long and closes each connection after its next answer, and then gives one that has asked nothing yet as long again; clients that rest for longer between two requests may meet a closed connection, none when it is longer than HOP_IDLE_TIMEOUT_SECONDS",
  ),
  stopTimeoutMs: ms(
    "HOP_STOP_TIMEOUT_MS",
    25_000,
    HOUR_MS,
    "a process that has not stopped this long after its HOP_DRAIN_MS is ended by force",
  ),
  processStartTimeoutMs: ms(
    "HOP_PROCESS_START_TIMEOUT_MS",
    90_000,
    HOUR_MS,
    "one of several processes that is not ready after this is ended by force and started again; the time it takes to migrate the database does not count",
  ),
  processAnswerTimeoutMs: ms(
    "HOP_PROCESS_ANSWER_TIMEOUT_MS",
    1_000,
    HOUR_MS,
    "a process has this long to answer for its metrics and its health",
  ),
  crashesMax: bound(
    "HOP_CRASHES_MAX",
    "crashes",
    5,
    1_000,
    "hop gives up when each of its processes crashed this often within HOP_CRASH_WINDOW_MS",
  ),
  crashWindowMs: ms("HOP_CRASH_WINDOW_MS", 60_000, HOUR_MS, "crashes older than this are forgotten"),
  restartMs: ms(
    "HOP_RESTART_MS",
    250,
    HOUR_MS,
    "a process that crashed is started again after half to all of this; twice as much for each crash before it",
  ),
  restartMaxMs: ms("HOP_RESTART_MAX_MS", 30_000, HOUR_MS, "a restart is delayed by no more than this"),
} as const satisfies Record<string, Omit<Bound, "group">>;
