// A pool that can be replaced while it is in use: a connection whose other end is gone may never say so by itself.
import type { Database } from "./database.ts";

/** Longer than a connection may take to open, so that a slow start is not thrown away again and again. */
const RENEW_EVERY_MS = 6_000;

export interface RenewableDatabase {
  /** Always the newest pool. */
  readonly sql: Database;
  /** Opens a new pool and closes the old one at once; queries that wait there reject with CONNECTION_DESTROYED. */
  renew(): void;
  close(timeoutSeconds: number): Promise<void>;
}

export function renewable(open: () => Database): RenewableDatabase {
  let current = open();
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  const closing = new Set<Promise<void>>();
  const sql = new Proxy(current, {
    apply: (_target, self, args) => Reflect.apply(current, self, args) as unknown,
    get: (_target, name) => Reflect.get(current, name) as unknown,
  });
  return {
    sql,
    renew() {
      if (performance.now() - renewedAtMs < RENEW_EVERY_MS) return;
      renewedAtMs = performance.now();
      const old = current;
      current = open();
      const ended = old.end({ timeout: 0 }).finally(() => closing.delete(ended));
      closing.add(ended);
    },
    async close(timeoutSeconds) {
      await Promise.all([current.end({ timeout: timeoutSeconds }), ...closing]);
    },
  };
}
