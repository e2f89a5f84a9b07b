// A pool that is replaced when the server stops answering: a connection whose other end is gone may never say so by itself.
import { DeadlineError, withDeadline } from "../../lib/deadline.ts";
import type { Log } from "../../lib/log.ts";
import { repeat } from "../../lib/loop.ts";
import { type Database, isUnavailable } from "./database.ts";

export interface WatchedPool {
  /** Always the newest pool. */
  readonly sql: Database;
  close(timeoutSeconds: number): Promise<void>;
}

const PROBE_EVERY_MS = 1_000;

/**
 * Asks a question a second. When even that is not answered within `deadlineMs`, which must be longer than any statement
 * may take, all connections are destroyed: what waits on them fails with CONNECTION_DESTROYED, and new ones are opened.
 */
export function watchPool(open: () => Database, deadlineMs: number, log: Log): WatchedPool {
  let current = open();
  const closing = new Set<Promise<void>>();
  const renew = () => {
    const old = current;
    current = open();
    const ended = old.end({ timeout: 0 }).finally(() => closing.delete(ended));
    closing.add(ended);
  };
  const loop = repeat(
    PROBE_EVERY_MS,
    async () => {
      await withDeadline(current`SELECT 1`, deadlineMs, "asking Postgres");
    },
    (error) => {
      if (error instanceof DeadlineError) {
        log.warn({ err: error }, "Postgres does not answer on any connection; opening new ones");
        renew();
      } else if (!isUnavailable(error)) {
        log.warn({ err: error }, "Postgres refuses to answer");
      }
    },
  );
  const sql = new Proxy(current, {
    apply: (_target, self, args) => Reflect.apply(current, self, args) as unknown,
    get: (_target, name) => Reflect.get(current, name) as unknown,
  });
  return {
    sql,
    async close(timeoutSeconds) {
      const stopped = loop.stop();
      await current.end({ timeout: timeoutSeconds });
      await Promise.all([stopped, ...closing]);
    },
  };
}
