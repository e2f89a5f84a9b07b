// How a process that runs until it is told to stop hears of it.
import { isatty } from "node:tty";

/** Ctrl-C reaches npm and hop, and npm passes it on: what follows a signal this soon is that signal again. */
const SAME_SIGNAL_MS = 1_000;

/** SIGINT or SIGTERM, whichever comes first. @param force for a second one, which means: now */
export function firstSignal(force: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const hear = (name: NodeJS.Signals) => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now();
        resolve(name);
      } else if (performance.now() - firstAtMs >= SAME_SIGNAL_MS) force();
    };
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, hear);
  });
}

/** SIGHUP asks for a reload, unless it says that the terminal is gone: then it means SIGTERM. */
export function onHangUp(reload: () => void): void {
  const fromTerminal = isatty(0);
  process.on("SIGHUP", () => {
    if (fromTerminal && !isatty(0)) process.kill(process.pid, "SIGTERM");
    else reload();
  });
}

/** When time is up, what has not stopped is ended by force. */
export function forceAfter(timeoutMs: number, force: () => void): void {
  const timer = setTimeout(() => {
    console.error(`hop: not stopped after ${timeoutMs} ms (HOP_STOP_TIMEOUT_MS); ending by force`);
    force();
  }, timeoutMs);
  timer.unref();
}
