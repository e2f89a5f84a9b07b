// SIGTERM under load: what was served is stored, what was stored was answered, and the ledger hears a goodbye.
import { afterAll, beforeAll, expect } from "bun:test";
import { countStored, findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { startHop } from "../../helpers/hop-process.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { waitFor } from "../../helpers/wait-for.ts";

/** Far below HOP_SHUTDOWN_TIMEOUT_MS: a stop that has to wait for that is not an orderly one. */
const STOP_MS = 3_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

faultTest(
  "SIGTERM under load stores exactly the redirects that were received and closes the producer",
  { few: 3, full: 20 },
  async ({ rounds, random, begin }) => {
    const { sql } = database;
    const env = { HOP_DATABASE_URL: database.url, HOP_CLICKS: "batch" };
    const load = new RedirectLoad({ codes: ["kept"], connections: 32, random });
    let slowestStopMs = 0;
    for (let round = 1; round <= rounds; round++) {
      begin(round, "SIGTERM");
      const hop = await startHop(env);
      if (round === 1) await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "kept" });
      expect(await findMiscounts(sql, hop, load.tallies)).toEqual([]);
      load.start(hop.url);
      const enough = load.received + random.integer(100, 3_000);
      await waitFor("redirects", () => load.received >= enough, { everyMs: 1 });
      const startedAtMs = performance.now();
      const exitCode = await hop.kill("SIGTERM");
      slowestStopMs = Math.max(slowestStopMs, performance.now() - startedAtMs);
      await load.stop();

      expect(exitCode).toBe(0);
      expect(await countStored(sql)).toBe(load.received);
      const producers = await sql<{ ended: boolean; complete: boolean; dropped: string }[]>`
        SELECT ended_at IS NOT NULL AS ended, dropped::text AS dropped,
          last_seq = (SELECT max(seq) FROM click_batches b WHERE b.producer = p.id) AS complete
        FROM producers p`;
      expect([...producers]).toEqual(
        Array.from({ length: round }, () => ({ ended: true, complete: true, dropped: "{}" })),
      );
      expect([...load.statuses.keys()]).toEqual([302]);
    }
    expect(await readLedger(env)).toMatchObject({ exitCode: 0, storedClicks: load.received });
    expect(slowestStopMs).toBeLessThan(STOP_MS);
    return `${load.received} redirects received and stored, ${load.sent - load.received} requests unanswered, slowest stop ${slowestStopMs.toFixed(0)} ms`;
  },
);
