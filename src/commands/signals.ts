// How a process that runs until it is told to stop hears of it.

/** SIGINT or SIGTERM, whichever comes next. */
export function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, resolve);
  });
}
