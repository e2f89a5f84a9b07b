// P2 when Postgres and then hop itself go: what was answered from the spool is stored by the next hop on this machine.
import { afterAll, beforeAll, expect } from "bun:test";
import { findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { startHop } from "../../helpers/hop-process.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import type { ProxyMode } from "../../helpers/tcp-proxy.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const CODES = ["one", "two", "three"];
const MODES: readonly ProxyMode[] = ["refuse", "silence"];
const SIGNALS = ["SIGKILL", "SIGKILL", "SIGTERM"] as const;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

for (const clicks of ["batch", "inline"]) {
  faultTest(
    `hop is killed while Postgres is away (${clicks}), and every redirect received is stored once by the next hop`,
    { few: 1, full: 10 },
    async ({ rounds, random, begin }) => {
      const env = {
        HOP_DATABASE_URL: database.url,
        HOP_CLICKS: clicks,
        HOP_SHUTDOWN_TIMEOUT_MS: "500",
        HOP_STATEMENT_TIMEOUT_MS: "1000",
      };
      let hop = await startHop(env);
      const codes = CODES.map((code) => `${code}-${clicks}`);
      for (const code of codes) {
        const made = await hop.api("POST", "/api/v1/links", { url: `https://example.com/${code}`, code });
        expect(made.status).toBe(201);
      }
      const load = new RedirectLoad({ codes, connections: 8, random });
      let spooled = 0;
      for (let round = 1; round <= rounds; round++) {
        const mode = random.pick(MODES);
        const signal = random.pick(SIGNALS);
        begin(round, `${mode}, ${signal}`);
        // Only what this life of hop knows can it serve without Postgres.
        for (const code of codes)
          await waitFor(code, async () => (await hop.api("GET", `/${code}`)).status === 302);
        load.start(hop.url);
        await waitFor("load", () => load.received > 100 * round);
        const receivedBefore = load.received;
        database.proxy.setMode(mode);
        database.proxy.cut();
        await waitFor("redirects without Postgres", () => load.received > receivedBefore + 1_000, {
          everyMs: 1,
        });
        spooled += await hop.metric('hop_clicks_total{stage="spooled"}');
        await hop.kill(signal);
        await load.stop();
        database.proxy.setMode("pass");
        // Nobody has delivered it yet: the ledger finds it where it is.
        const left = await readLedger(env);
        expect(left).toMatchObject({ exitCode: 0, verdict: "balanced", reasons: [] });
        expect(left.spooledClicks).toBeGreaterThan(500);
        hop = await startHop(env);
        const withProbes = [...load.tallies].map(
          ([code, { sent, received }]) => [code, { sent: sent + round, received: received + round }] as const,
        );
        expect(await findMiscounts(database.sql, hop, new Map(withProbes))).toEqual([]);
        const ledger = await readLedger(env);
        expect(ledger).toMatchObject({ exitCode: 0, verdict: "balanced", reasons: [], spooledClicks: 0 });
      }
      expect(spooled).toBeGreaterThan(rounds * 500);
      expect([...load.statuses.keys()]).toEqual([302]);
      expect(await hop.kill("SIGTERM")).toBe(0);
      return `${load.received} redirects received, ${spooled} clicks spooled`;
    },
  );
}
