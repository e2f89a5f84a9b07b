// Bounds an await: nothing waits on a network for ever.
import { AppError } from "./errors.ts";

/** Thrown when something took longer than it may. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** The promise's own outcome, or a DeadlineError after `timeoutMs`. The work itself goes on; `onTimeout` may stop it. */
export function withDeadline<T>(
  work: Promise<T>,
  timeoutMs: number,
  what: string,
  onTimeout?: () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      onTimeout?.();
      reject(new DeadlineError(`${what} took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** As `withDeadline`, but what takes too long is TEMPORARILY_UNAVAILABLE, with this message for the caller. */
export async function orUnavailable<T>(
  work: Promise<T>,
  timeoutMs: number,
  message: string,
  onTimeout?: () => void,
): Promise<T> {
  try {
    return await withDeadline(work, timeoutMs, message, onTimeout);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new AppError("TEMPORARILY_UNAVAILABLE", message, { cause: error });
  }
}
