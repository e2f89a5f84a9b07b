// How a process that runs until it is told to stop hears of it.
import { isatty } from "node:tty";

/** SIGINT or SIGTERM, whichever comes next. */
export function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, resolve);
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

/** A second SIGINT or SIGTERM means: now. */
export function forceOnSignal(force: () => void): void {
  void nextSignal().then(force);
}

/** When time is up, what has not stopped is ended by force. */
export function forceAfter(timeoutMs: number, force: () => void): void {
  const timer = setTimeout(() => {
    console.error(`hop: not stopped after ${timeoutMs} ms (HOP_STOP_TIMEOUT_MS); ending by force`);
    force();
  }, timeoutMs);
  timer.unref();
}
