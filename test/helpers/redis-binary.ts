// Finds the server that tests start.
import { which } from "./which.ts";

/** What is on PATH: Redis, or Valkey, which speaks the same. */
export function findRedisServer(): string | undefined {
  return which("redis-server") ?? which("valkey-server");
}
