// Waits for a condition instead of for time.

/** Polls until `condition` answers something true; throws with `what` after the deadline. */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 15_000, everyMs = 10 } = options;
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (performance.now() > deadlineMs) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await Bun.sleep(everyMs);
  }
}
