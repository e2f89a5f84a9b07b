// A Postgres that answers and takes no writes: before a replica is promoted, or where a provider saw that the disk is full.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { z } from "zod";
import { readLedger } from "../../helpers/click-audit.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { startHop } from "../../helpers/hop-process.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const TIMEOUT_MS = 60_000;
const BEFORE = 3;
const MEANWHILE = 5;

const statsSchema = z.object({ total: z.number(), asOf: z.string() });

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Sessions that begin from now on take writes, or none; those of hop end. The test's own began before. */
async function takeWrites(writes: boolean): Promise<void> {
  const readOnly = writes ? "off" : "on";
  await database.sql.unsafe(
    `ALTER DATABASE ${database.connection.database} SET default_transaction_read_only = ${readOnly}`,
  );
  database.proxy.cut();
}

test(
  "while Postgres takes no writes links redirect, all that is known can be read, writes are refused for now, and every click is counted afterwards",
  async () => {
    // No round of the background's own: what waits when the writes end is what a reader would have to roll up.
    const intervals = { HOP_TOTALS_INTERVAL_MS: "3600000", HOP_DIMENSIONS_INTERVAL_MS: "3600000" };
    const env = { HOP_DATABASE_URL: database.url, ...intervals };
    const hop = await startHop(env);
    const link = { url: "https://example.com/read-only", code: "known" };
    expect((await hop.api("POST", "/api/v1/links", link)).status).toBe(201);
    const redirects = async (count: number) => {
      for (let each = 0; each < count; each++) expect((await hop.api("GET", "/known")).status).toBe(302);
    };
    const stored = () => hop.metric('hop_clicks_total{stage="stored"}');
    const read = async (path: string) => {
      const answer = await hop.api("GET", path);
      expect(answer.status).toBe(200);
      return answer.json();
    };

    await redirects(BEFORE);
    await waitFor("the clicks to be stored", async () => (await stored()) === BEFORE);
    const storedAtMs = Date.now();
    await takeWrites(false);
    const refused = async () => hop.api("POST", "/api/v1/links", { url: "https://example.com/new" });
    await waitFor("hop's new sessions", async () => (await refused()).status === 503);
    await redirects(MEANWHILE);

    expect(Number((await refused()).headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await read("/api/v1/links/known")).toMatchObject(link);
    expect(await read("/api/v1/links")).toMatchObject({ items: [link] });
    const stale = statsSchema.parse(await read("/api/v1/links/known/stats"));
    // What was stored and not rolled up is not in them, and they say so.
    expect(stale.total).toBe(0);
    expect(Date.parse(stale.asOf)).toBeLessThanOrEqual(storedAtMs);

    await takeWrites(true);
    await waitFor("every click to be stored", async () => (await stored()) === BEFORE + MEANWHILE);
    expect(await read("/api/v1/links/known/stats")).toMatchObject({ total: BEFORE + MEANWHILE });
    expect(await hop.kill("SIGTERM")).toBe(0);
    expect(await readLedger(env)).toMatchObject({ verdict: "balanced", storedClicks: BEFORE + MEANWHILE });
  },
  TIMEOUT_MS,
);
