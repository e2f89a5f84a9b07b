// Starts the listener for operators, which servers and workers have alike.
import type { Health } from "./http/health.ts";
import { listenAdmin } from "./http/server.ts";
import type { Instruments } from "./instruments.ts";

/** Health and metrics; undefined when the port is 0. @throws when the port is taken */
export function startAdmin(
  admin: { readonly host: string; readonly port: number },
  health: Health,
  { registry }: Instruments,
  started: AsyncDisposableStack,
): string | undefined {
  if (admin.port === 0) return undefined;
  const server = listenAdmin({
    ...admin,
    health,
    metrics: async () => ({ body: await registry.metrics(), contentType: registry.contentType }),
  });
  started.defer(() => server.stop(true));
  return `http://${admin.host}:${server.port}`;
}
