// P6: processes replaced one after another under load, with kept and with new connections, and nobody notices.
import { afterAll, beforeAll, expect } from "bun:test";
import { turnMigrationOn } from "../../../src/fleet/tcp-migrate.ts";
import { countStored, findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { startHop } from "../../helpers/hop-process.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const CODES = ["alpha", "beta", "gamma"];

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

faultTest(
  "a rolling restart under load breaks no request and loses no click",
  { few: 2, full: 20 },
  async ({ rounds, random, begin }) => {
    const env = { HOP_DATABASE_URL: database.url, HOP_WORKERS: "2" };
    const hop = await startHop(env);
    for (const code of CODES) await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code });
    const kept = new RedirectLoad({ codes: CODES, connections: 16, random });
    const fresh = new RedirectLoad({ codes: CODES, connections: 8, random, fresh: true });
    const loads = [kept, fresh];
    for (const load of loads) load.start(hop.url);
    for (let round = 1; round <= rounds; round++) {
      begin(round, "SIGHUP");
      const before = kept.received;
      await waitFor("redirects", () => kept.received > before + random.integer(100, 1_000));
      process.kill(hop.pid, "SIGHUP");
      const restarts = 'hop_process_restarts_total{why="reload"}';
      await waitFor("both processes to be replaced", async () => (await hop.metric(restarts)) === round * 2, {
        // A process takes a while to start beside the load and everything else on the machine.
        timeoutMs: 120_000,
        everyMs: 100,
      });
    }
    await waitFor(
      "the last to have left",
      async () => (await hop.metric('hop_processes{state="leaving"}')) === 0,
    );
    for (const load of loads) await load.stop();

    const facts = loads.map(({ broken, hung, refused, statuses }) => ({
      broken,
      hung,
      refused,
      statuses: [...statuses.keys()],
    }));
    const whole = { broken: 0, hung: 0, refused: 0, statuses: [302] };
    // Without the setting Linux resets what waits to be accepted when a listener closes; `hop doctor` says so.
    const migrates = (await turnMigrationOn()) === "on";
    expect(facts).toEqual([whole, migrates ? whole : { ...whole, broken: expect.any(Number) as number }]);
    const received = kept.received + fresh.received;
    const tallies = new Map(
      CODES.map((code) => {
        const both = loads.map((load) => load.tallies.get(code) ?? { sent: 0, received: 0 });
        const sum = (count: "sent" | "received") => both.reduce((total, tally) => total + tally[count], 0);
        return [code, { sent: sum("sent"), received: sum("received") }];
      }),
    );
    expect(await findMiscounts(database.sql, hop, tallies)).toEqual([]);
    expect(await hop.metric('hop_redirects_total{outcome="redirected"}')).toBe(received);
    expect(await hop.kill("SIGTERM")).toBe(0);
    expect(await countStored(database.sql)).toBe(received);
    expect(await readLedger(env)).toMatchObject({ exitCode: 0, verdict: "balanced", storedClicks: received });
    return `${kept.received} redirects on kept connections, ${fresh.received} on new ones, none broken`;
  },
);
