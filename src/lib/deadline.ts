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
export async function orUnavailable<T>(work: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  try {
    return await withDeadline(work, timeoutMs, message);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new AppError("TEMPORARILY_UNAVAILABLE", message, { cause: error });
  }
}

/** Enough for the event loop to read what has arrived. */
const GRACE_MS = 1;

/**
 * As `withDeadline`, for deadlines so short that this process itself may be what is late: an answer that has arrived by
 * the time the timer is looked at still counts.
 */
export function timely<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const expire = () => reject(new DeadlineError(`${what} took longer than ${timeoutMs} ms`));
    let timer = setTimeout(() => {
      timer = setTimeout(expire, GRACE_MS);
    }, timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
