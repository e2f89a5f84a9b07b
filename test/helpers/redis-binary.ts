// Finds the server that tests start.

/** What is on PATH: Redis, or Valkey, which speaks the same. */
export function findRedisServer(): string | undefined {
  return Bun.which("redis-server") ?? Bun.which("valkey-server") ?? undefined;
}
