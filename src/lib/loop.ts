// Work that is repeated in the background, with an owner that can stop it.

export interface Loop {
  /** Ends the repetition and waits for a round that is under way. */
  stop(): Promise<void>;
}

/** Runs `work` every `intervalMs`, the first time after one interval; rounds never overlap. */
export function repeat(intervalMs: number, work: () => Promise<void>, onError: (error: unknown) => void): Loop {
  let stopped = false;
  const stopping = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    while (!stopped) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, intervalMs);
      await Promise.race([promise, stopping.promise]);
      clearTimeout(timer);
      if (stopped) return;
      await work().catch(onError);
    }
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      stopping.resolve();
      await running;
    },
  };
}
