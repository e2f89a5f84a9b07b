// P3 and P4 when connections to Postgres go silent without ending, as when its host dies: new ones must take their place.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { Random } from "../../helpers/fault-test.ts";
import { startHop } from "../../helpers/hop-process.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { waitFor } from "../../helpers/wait-for.ts";

/** Three statements of one transaction, each of which may take its time, and some margin. */
const TOTALS_MS = 6_000;
/** HOP_STATEMENT_TIMEOUT_MS is the longest that a healthy connection says nothing. */
const STATEMENT_TIMEOUT_MS = 1_500;
const BACK_MS = 3 * STATEMENT_TIMEOUT_MS;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("when every connection to Postgres stalls under load, lookups, clicks and creates soon work again over new ones", async () => {
  const env = {
    HOP_DATABASE_URL: database.url,
    HOP_CLICKS: "batch",
    HOP_CLICKS_TIMEOUT_MS: "1000",
    HOP_LOOKUP_TIMEOUT_MS: "500",
    HOP_CACHE_TTL_MS: "1000",
    HOP_STATEMENT_TIMEOUT_MS: String(STATEMENT_TIMEOUT_MS),
  };
  const hop = await startHop(env);
  const create = (code: string) =>
    hop.api("POST", "/api/v1/links", { url: `https://example.com/${code}`, code });
  expect((await create("stalled")).status).toBe(201);
  const load = new RedirectLoad({ codes: ["stalled"], connections: 4, random: new Random(1) });
  load.start(hop.url);
  // Creates are under way too when it happens.
  const creating = new AbortController();
  let created = 0;
  const creators = Array.from({ length: 4 }, async (_, creator) => {
    for (let number = 0; !creating.signal.aborted; number++) {
      const { status } = await create(`created-${creator}-${number}`);
      if (status === 201) created++;
      else await Bun.sleep(10);
    }
  });
  await waitFor("load", () => load.received > 200 && created > 50);

  database.proxy.stall();
  const stalledAtMs = performance.now();
  const backMs: Record<string, number> = {};
  const back = async (what: string, works: () => boolean | Promise<boolean>) => {
    await waitFor(what, works, { timeoutMs: 4 * BACK_MS });
    backMs[what] = Math.round(performance.now() - stalledAtMs);
  };
  const [receivedBefore, createdBefore] = [load.received, created];
  let asked = 0;
  let found = 0;
  await Promise.all([
    back("clicks", () => load.received > receivedBefore + 200),
    back("creates", () => created > createdBefore + 50),
    back("lookups", async () => {
      // Over whichever connection: one that works must not hide one that is dead.
      const { status } = await hop.api("GET", `/unknown-${asked++}`);
      found = status === 404 ? found + 1 : 0;
      return found === 50;
    }),
    back(
      "links and their clicks",
      async () => (await hop.api("GET", "/api/v1/links/stalled")).status === 200,
    ),
  ]);
  // An edit by hand is seen at the latest when the entry expires, whether or not the listener noticed.
  await database.sql`UPDATE links SET target = 'https://example.com/changed' WHERE code = 'stalled'`;
  await back(
    "edits",
    async () => (await hop.api("GET", "/stalled")).headers.get("location") === "https://example.com/changed",
  );
  creating.abort();
  await Promise.all([load.stop(), ...creators]);
  console.log(`after every connection stalled, ms until back: ${JSON.stringify(backMs)}`);

  for (const what of ["clicks", "creates", "lookups"]) expect(backMs[what]).toBeLessThan(BACK_MS);
  expect(backMs["links and their clicks"]).toBeLessThan(TOTALS_MS);
  expect(load.hung).toBe(0);
  const { sent, received } = load.tallies.get("stalled") ?? { sent: 0, received: 0 };
  // The probe for edits follows the link as well.
  const probed = new Map([["stalled", { sent: sent + 1_000, received }]]);
  expect(await findMiscounts(database.sql, hop, probed)).toEqual([]);
  expect(await hop.kill("SIGTERM")).toBe(0);
  expect(await readLedger(env)).toMatchObject({ exitCode: 0, verdict: "balanced", reasons: [] });
});
