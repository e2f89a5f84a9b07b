// A hop behind a proxy it trusts, so that a test can ask it from any address.
import { type HopEnvironment, type HopProcess, startHop } from "./hop-process.ts";

export interface LimitedHop extends HopProcess {
  /** A request that the proxy passes on for this client. */
  from(client: string, path: string, init?: RequestInit): Promise<Response>;
}

export const LINKS = "/api/v1/links";
export const TARGET = "https://example.com/known";

/** The test itself is the proxy. */
export async function startLimitedHop(env: HopEnvironment): Promise<LimitedHop> {
  const hop = await startHop({ HOP_TRUSTED_PROXIES: "127.0.0.1/32", ...env });
  return {
    ...hop,
    from: (client, path, init = {}) => {
      const headers = new Headers(init.headers);
      headers.set("X-Forwarded-For", client);
      return fetch(`${hop.url}${path}`, { redirect: "manual", ...init, headers });
    },
  };
}

let addresses = 0;

/** An address that no test has used yet. */
export function newAddress(): string {
  addresses++;
  return `198.18.${addresses >> 8}.${addresses & 255}`;
}

/** The answers' statuses, asked one after the other. */
export async function statusesOf(
  count: number,
  ask: (index: number) => Promise<Response>,
): Promise<number[]> {
  const statuses: number[] = [];
  for (let index = 0; index < count; index++) {
    const answer = await ask(index);
    await answer.body?.cancel();
    statuses.push(answer.status);
  }
  return statuses;
}

/** `count` times the same status. */
export function times(count: number, status: number): number[] {
  return Array.from({ length: count }, () => status);
}
