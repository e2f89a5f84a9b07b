// Work that is repeated in the background, with an owner that can stop it.

export interface Loop {
  /** Ends the repetition and waits for a round that is under way. */
  stop(): Promise<void>;
}

/** Runs `work` every `intervalMs`, the first time after one interval; rounds never overlap, and hear of `stop` by the signal. */
export function repeat(
  intervalMs: number,
  work: (stopping: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
): Loop {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (await interval(intervalMs, stopping.signal)) await work(stopping.signal).catch(onError);
  };
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** True after `ms`; false at once when the signal is given. */
export async function interval(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), ms);
  const stop = () => resolve(false);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
