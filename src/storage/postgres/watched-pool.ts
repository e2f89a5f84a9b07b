// A pool that is replaced when the server stops answering: a connection whose other end is gone may never say so by itself.
import type { Log } from "../../lib/log.ts";
import { type Database, watchAnswers } from "./database.ts";

export interface WatchedPool {
  /** Always the newest pool. */
  readonly sql: Database;
  close(timeoutSeconds: number): Promise<void>;
}

/**
 * When a question (see `asking`) is not answered within `deadlineMs`, which must be longer than any statement may take, all
 * connections are destroyed: what waits on them fails with CONNECTION_DESTROYED, and new ones are opened.
 */
export function watchPool(open: () => Database, deadlineMs: number, log: Log): WatchedPool {
  let current = open();
  const closing = new Set<Promise<void>>();
  const sql = new Proxy(current, {
    apply: (_target, self, args) => Reflect.apply(current, self, args) as unknown,
    get: (_target, name) => Reflect.get(current, name) as unknown,
  });
  watchAnswers(sql, deadlineMs, () => {
    // Several questions may be waiting on the same dead pool; only the first of them replaces it.
    const old = current;
    return () => {
      if (old !== current) return;
      log.warn({ deadlineMs }, "Postgres does not answer; opening new connections");
      current = open();
      const ended = old.end({ timeout: 0 }).finally(() => closing.delete(ended));
      closing.add(ended);
    };
  });
  return {
    sql,
    async close(timeoutSeconds) {
      await Promise.all([current.end({ timeout: timeoutSeconds }), ...closing]);
    },
  };
}
