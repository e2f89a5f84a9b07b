// P2 with batches in Postgres: rounds of kill -9 under load, and after each the books must agree.
import { afterAll, beforeAll, expect } from "bun:test";
import { findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { type FragileDatabase, openFragileDatabase } from "../../helpers/fragile-database.ts";
import { type HopProcess, startHop } from "../../helpers/hop-process.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const CODES = ["alpha", "beta", "gamma", "delta", "epsilon"];
const FAULTS = ["hop", "hop", "hop and Postgres", "Postgres", "network", "network, then hop"] as const;

let database: FragileDatabase;
beforeAll(async () => {
  database = await openFragileDatabase();
});
afterAll(() => database.close());

faultTest(
  "every redirect received is stored exactly once while hop, Postgres and the network between them are killed",
  { few: 3, full: 20 },
  async ({ rounds, random, begin }) => {
    const env = { HOP_DATABASE_URL: database.url, HOP_CLICKS: "batch", HOP_BATCHES_MERGE_MS: "200" };
    let hop = await startHop(env);
    for (const code of CODES) {
      const created = await hop.api("POST", "/api/v1/links", { url: `https://example.com/${code}`, code });
      expect(created.status).toBe(201);
    }
    const load = new RedirectLoad({ codes: CODES, connections: 32, random });
    const faults: Record<string, number> = {};

    for (let round = 1; round <= rounds; round++) {
      const fault = random.pick(FAULTS);
      begin(round, fault);
      faults[fault] = (faults[fault] ?? 0) + 1;
      load.start(hop.url);
      await untilReceived(load, random.integer(50, 4_000));
      const dead = await inject(fault, hop);
      database.proxy.setMode("pass");
      // Whatever lives on has to serve again by itself.
      if (!dead) await untilReceived(load, 200);
      await load.stop();
      await database.untilServing();
      if (dead) hop = await startHop(env);

      expect(await findMiscounts(database.sql, hop, load.tallies)).toEqual([]);
      expect(await readLedger(env)).toMatchObject({ exitCode: 0, verdict: "balanced", reasons: [] });
      expect(load.hung).toBe(0);
      expect([...load.statuses.keys()].filter((status) => status !== 302 && status !== 503)).toEqual([]);
    }

    await hop.kill("SIGTERM");
    const { storedClicks } = await readLedger(env);
    expect(load.received).toBeGreaterThan(rounds * 50);
    return (
      `${load.sent} requests sent, ${load.received} redirects received, ${storedClicks} clicks stored, ` +
      `statuses ${JSON.stringify(Object.fromEntries(load.statuses))}, faults ${JSON.stringify(faults)}`
    );
  },
);

/** True when hop is dead afterwards. */
async function inject(fault: (typeof FAULTS)[number], hop: HopProcess): Promise<boolean> {
  if (fault.startsWith("network")) {
    database.proxy.setMode("refuse");
    database.proxy.cut();
  }
  if (fault.endsWith("Postgres")) {
    const killing = database.killServer();
    if (fault === "hop and Postgres") await hop.kill("SIGKILL");
    await killing;
  } else if (fault.endsWith("hop")) {
    await hop.kill("SIGKILL");
  }
  return fault.includes("hop");
}

async function untilReceived(load: RedirectLoad, more: number): Promise<void> {
  const enough = load.received + more;
  await waitFor(`${more} redirects`, () => load.received >= enough, { everyMs: 1, timeoutMs: 30_000 });
}
