// The judges of P2 can fail: a recorder that loses clicks and a ledger that was tampered with are both found out.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { countStored, findMiscounts, readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { faultTest, Random } from "../../helpers/fault-test.ts";
import { startHop } from "../../helpers/hop-process.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { waitFor } from "../../helpers/wait-for.ts";

let losing: TestDatabase;
let tampered: TestDatabase;
beforeAll(async () => {
  [losing, tampered] = await Promise.all([createTestDatabase(), createTestDatabase()]);
});
afterAll(() => Promise.all([losing.drop(), tampered.drop()]));

faultTest(
  "a recorder that answers first and is killed under load is found to lose clicks, and the ledger is undecided",
  { few: 10, full: 10 },
  async ({ rounds, random, begin }) => {
    const env = { HOP_DATABASE_URL: losing.url, HOP_CLICKS: "batch", HOP_CLICKS_ACK: "async" };
    let hop = await startHop(env);
    await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "lossy" });
    const load = new RedirectLoad({ codes: ["lossy"], connections: 32, random });
    let problems: readonly string[] = [];
    let round = 0;
    while (problems.length === 0) {
      expect(round).toBeLessThan(rounds);
      begin(++round, "kill -9");
      load.start(hop.url);
      const enough = load.received + random.integer(200, 2_000);
      await waitFor("redirects", () => load.received >= enough, { everyMs: 1 });
      // The ledger hears of a producer with its first batch.
      await waitFor("a batch", async () => (await hop.metric('hop_clicks_total{stage="stored"}')) > 0);
      await hop.kill("SIGKILL");
      await load.stop();
      hop = await startHop(env);
      problems = await findMiscounts(losing.sql, hop, load.tallies);
    }
    expect(problems.join("\n")).toMatch(/lossy: API clicks \d+, but \d+ redirects were received/);
    const ledger = await readLedger(env);
    expect(ledger).toMatchObject({ exitCode: 2, verdict: "undecided" });
    expect(ledger.reasons.join("\n")).toContain("HOP_CLICKS_ACK=async");
    await hop.kill("SIGTERM");
    return `seen in round ${round}: ${problems[0]}`;
  },
);

test("the ledger proves a missing batch, a missing click, a doubled click and a wrong total, and names them", async () => {
  const { sql } = tampered;
  const env = { HOP_DATABASE_URL: tampered.url, HOP_CLICKS: "batch" };
  const hop = await startHop(env);
  await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "forged" });
  const load = new RedirectLoad({ codes: ["forged"], connections: 4, random: new Random(1) });
  load.start(hop.url);
  await waitFor("redirects", () => load.received >= 200);
  await load.stop();
  expect(await findMiscounts(sql, hop, load.tallies)).toEqual([]);
  expect(await hop.kill("SIGTERM")).toBe(0);
  expect(await readLedger(env)).toMatchObject({ exitCode: 0, totalledClicks: load.received });
  const [{ producer, last, clicks } = { producer: "", last: 0, clicks: 0 }] = await sql<
    { producer: string; last: number; clicks: number }[]
  >`SELECT producer, max(seq) AS last, sum(clicks)::bigint AS clicks FROM click_batches GROUP BY producer`;
  expect(last).toBeGreaterThan(5);
  await sql`CREATE TABLE batches_before AS TABLE click_batches`;
  await sql`CREATE TABLE clicks_before AS TABLE clicks`;
  await sql`CREATE TABLE totals_before AS TABLE link_hours`;
  const restore = async () => {
    await sql`TRUNCATE click_batches, clicks, link_hours`;
    await sql`INSERT INTO click_batches TABLE batches_before`;
    await sql`INSERT INTO clicks TABLE clicks_before`;
    await sql`INSERT INTO link_hours TABLE totals_before`;
  };
  const proves = async (reason: string) => {
    const ledger = await readLedger(env);
    expect(ledger).toMatchObject({ exitCode: 1, verdict: "unbalanced" });
    expect(ledger.reasons.join("\n")).toContain(reason);
    await restore();
  };

  await sql`DELETE FROM click_batches WHERE seq = 3`;
  await proves(`producer ${producer} lacks 1 of ${last} batches (numbers 3)`);
  // The producer said goodbye with its last number, so that even a loss at the end is proven.
  await sql`DELETE FROM click_batches WHERE seq = ${last}`;
  await proves(`producer ${producer} lacks 1 of ${last} batches (numbers ${last})`);
  await sql`DELETE FROM click_batches`;
  await proves(
    `producer ${producer} lacks ${last} of ${last} batches (numbers 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …)`,
  );
  await sql`DELETE FROM clicks WHERE ctid = (SELECT ctid FROM clicks LIMIT 1)`;
  await proves("1 clicks of confirmed batches are not stored");
  await sql`INSERT INTO clicks SELECT * FROM clicks LIMIT 7`;
  await proves("7 clicks are stored more often than they were recorded");
  await sql`UPDATE link_hours SET clicks = clicks + 1`;
  await proves(`totals count ${clicks + 1} clicks and 0 are on their way, batches count ${clicks}`);
  // The same clicks and totals as a batch that says otherwise.
  await sql`UPDATE click_batches SET clicks = clicks + 1 WHERE seq = 1`;
  await proves("1 clicks of confirmed batches are not stored");
  expect(await readLedger(env)).toMatchObject({ exitCode: 0, verdict: "balanced" });
  expect(await countStored(sql)).toBe(load.received);
});

test("the count of clicks finds a loss and a duplicate of one", async () => {
  const { sql } = tampered;
  const hop = await startHop({ HOP_DATABASE_URL: tampered.url, HOP_CLICKS: "batch" });
  const load = new RedirectLoad({ codes: ["counted"], connections: 2, random: new Random(1) });
  await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "counted" });
  load.start(hop.url);
  await waitFor("redirects", () => load.received >= 20);
  await load.stop();
  expect(await findMiscounts(sql, hop, load.tallies)).toEqual([]);
  const count = load.received;
  const [{ id } = { id: 0 }] = await sql<{ id: number }[]>`SELECT id FROM links WHERE code = 'counted'`;

  await sql`INSERT INTO clicks SELECT * FROM clicks WHERE link_id = ${id} LIMIT 1`;
  await sql`UPDATE link_hours SET clicks = clicks + 1 WHERE link_id = ${id}`;
  const tooMany = `${count + 1}, but only ${count} requests were sent`;
  expect(await findMiscounts(sql, hop, load.tallies)).toEqual(
    ["API clicks", "rows", "totals"].map((where) => `counted: ${where} ${tooMany}`),
  );
  await sql`UPDATE link_hours SET clicks = clicks - 2 WHERE link_id = ${id}`;
  await sql`DELETE FROM clicks WHERE ctid IN (SELECT ctid FROM clicks WHERE link_id = ${id} LIMIT 2)`;
  const tooFew = `${count - 1}, but ${count} redirects were received`;
  expect(await findMiscounts(sql, hop, load.tallies)).toEqual(
    ["API clicks", "rows", "totals"].map((where) => `counted: ${where} ${tooFew}`),
  );
  await hop.kill("SIGTERM");
});
