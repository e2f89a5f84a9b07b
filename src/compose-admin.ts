// Starts the listener for operators, which servers, workers and supervisors have alike.
import type { Health } from "./http/health.ts";
import { listenAdmin } from "./http/server.ts";

interface AdminParts {
  readonly host: string;
  readonly port: number;
  /** The variable that the port comes from. */
  readonly portName?: string;
}

/** Health and metrics; undefined when the port is 0. @throws when the port is taken */
export function startAdmin(
  { host, port, portName = "HOP_ADMIN_PORT" }: AdminParts,
  health: Pick<Health, "live" | "ready">,
  { registry }: { registry: { metrics(): Promise<string>; readonly contentType: string } },
  started: AsyncDisposableStack,
): string | undefined {
  if (port === 0) return undefined;
  const server = listenAdmin({
    host,
    port,
    portName,
    health,
    metrics: async () => ({ body: await registry.metrics(), contentType: registry.contentType }),
  });
  started.defer(() => server.stop(true));
  return `http://${host}:${server.port}`;
}
