// deploy/nginx.conf in front of two servers: visitors do not notice that one goes, and are not believed in what they claim to be.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { countStored } from "../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { Random } from "../helpers/fault-test.ts";
import { freePort, type HopProcess, NO_HURRY, startHop } from "../helpers/hop-process.ts";
import { startNginx } from "../helpers/nginx.ts";
import { RedirectLoad } from "../helpers/redirect-load.ts";
import { waitFor } from "../helpers/wait-for.ts";

const CONNECTIONS = 8;
const REDIRECTED = 'hop_redirects_total{outcome="redirected"}';

describe("behind nginx", () => {
  let database: TestDatabase;
  let ports: readonly [number, number];
  let servers: HopProcess[];
  let nginx: Awaited<ReturnType<typeof startNginx>>;
  beforeAll(async () => {
    database = await createTestDatabase();
    ports = [await freePort(), await freePort()];
    nginx = await startNginx(ports);
  });
  afterAll(async () => {
    await nginx[Symbol.asyncDispose]();
    await database.drop();
  });
  const start = (port: number) =>
    startHop({
      HOP_DATABASE_URL: database.url,
      HOP_PORT: String(port),
      HOP_TRUSTED_PROXIES: "127.0.0.1",
      ...NO_HURRY,
    });
  beforeEach(async () => {
    servers = [await start(ports[0]), await start(ports[1])];
  });
  afterEach(() => Promise.all(servers.map((server) => server.kill("SIGKILL"))));
  const first = () => servers[0] ?? expect.unreachable();

  async function create(code: string): Promise<void> {
    const made = await first().api("POST", "/api/v1/links", { url: "https://example.com/", code });
    expect(made.status).toBe(201);
    // Both have the link, so that what follows is about servers and not about lookups.
    for (const server of servers) await server.api("HEAD", `/${code}`);
  }

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "no visitor notices that one server after the other is ended by %s and comes back",
    async (signal) => {
      const code = `gone-${signal.toLowerCase()}`;
      await create(code);
      const storedBefore = await countStored(database.sql);
      const load = new RedirectLoad({ codes: [code], connections: CONNECTIONS, random: new Random(1) });
      const receive = async (more: number) => {
        const enough = load.received + more;
        await waitFor(`${more} redirects`, () => load.received >= enough);
      };
      load.start(nginx.url);
      try {
        for (const [index, port] of ports.entries()) {
          await receive(300);
          await servers[index]?.kill(signal);
          await receive(300);
          const server = await start(port);
          servers[index] = server;
          // nginx leaves a server that failed alone for fail_timeout: until then there is only the other one.
          await waitFor(
            "nginx to come back to the server",
            async () => (await server.metric(REDIRECTED)) > 0,
          );
        }
        await receive(300);
      } finally {
        await load.stop();
      }
      expect([[...load.statuses.keys()], load.hung]).toEqual([[302], 0]);
      expect(load.received).toBe(load.sent);
      // A visit whose server died while it answered was asked again elsewhere, and may be stored twice.
      const retried = signal === "SIGKILL" ? CONNECTIONS * ports.length : 0;
      const stored = await waitFor("the clicks to be stored", async () => {
        const count = (await countStored(database.sql)) - storedBefore;
        return count >= load.received ? count : undefined;
      });
      expect(stored - load.received).toBeLessThanOrEqual(retried);
    },
  );

  test("a visitor is who the proxy says, whatever else it claims", async () => {
    await create("who");
    const visitors = async () => {
      const stats = await first().api("GET", "/api/v1/links/who/stats");
      return (await stats.json()) as { total: number; unique: number };
    };
    for (let visit = 1; visit <= 5; visit++) {
      const claims = { "X-Forwarded-For": `203.0.113.${visit}`, "User-Agent": "Mozilla/5.0" };
      await fetch(`${nginx.url}/who`, { redirect: "manual", headers: claims });
    }
    await waitFor("the visitor is counted", async () => (await visitors()).unique > 0);
    expect(await visitors()).toMatchObject({ total: 5, unique: 1 });
    // Without the proxy the same claim comes from an address that is trusted.
    await first().api("GET", "/who", undefined, {
      "X-Forwarded-For": "203.0.113.9",
      "User-Agent": "Mozilla/5.0",
    });
    await waitFor("the second visitor is counted", async () => (await visitors()).unique > 1);
    expect(await visitors()).toMatchObject({ total: 6, unique: 2 });
  });

  test("health and metrics stay inside, the API and large bodies go through", async () => {
    for (const path of ["/livez", "/readyz", "/metrics"]) {
      expect([path, (await fetch(`${nginx.url}${path}`)).status]).toEqual([path, 404]);
    }
    expect((await fetch(`${nginx.url}/api/openapi.json`)).status).toBe(200);
    const large = await fetch(`${nginx.url}/api/v1/links`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ url: `https://example.com/${"x".repeat(200_000)}` }),
    });
    expect(large.headers.get("Content-Type")).toBe("application/problem+json");
  });
});
