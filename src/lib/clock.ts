// Time as a dependency, so that tests move it instead of waiting for it.

/** Milliseconds since the Unix epoch, as `Date.now`. */
export type Clock = () => number;

export const systemClock: Clock = Date.now;

/** A clock that stands still until it is told to move. Tests and rebuilds use it. */
export function manualClock(startMs: number): Clock & { advance(ms: number): void } {
  let nowMs = startMs;
  return Object.assign(() => nowMs, {
    advance(ms: number) {
      nowMs += ms;
    },
  });
}
