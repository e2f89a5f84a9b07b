// A pooler between hop and Postgres: what it takes away is noticed before anybody is served an old target for it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { runHop, startHop } from "../helpers/hop-process.ts";
import { startPgBouncer } from "../helpers/pgbouncer.ts";
import { waitFor } from "../helpers/wait-for.ts";

/** Starts of hop, each with the time in which it would have to hear. */
const TIMEOUT_MS = 60_000;
const DEAF =
  "Postgres agreed to tell of changed links, and nothing arrives: a pooler in transaction mode is in between; set HOP_DATABASE_URL to the address of Postgres itself";
const LISTENING = "hop_invalidation_listening";
const HEARD = "hop_invalidation_seconds_count";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test(
  "a server behind a pooler in transaction mode does not start, since it would not hear of edits, and says what to do",
  async () => {
    await using pooler = await startPgBouncer(database.url, "transaction");
    const { code, output } = await runHop(["serve"], { HOP_DATABASE_URL: pooler.url, HOP_PORT: "0" });
    expect([code, output]).toEqual([1, expect.stringContaining(`hop: ${DEAF}\n`) as string]);
  },
  TIMEOUT_MS,
);

test(
  "hop doctor finds a pooler in transaction mode, and minds none where nothing is cached",
  async () => {
    await using pooler = await startPgBouncer(database.url, "transaction");
    const found = await runHop(["doctor"], { HOP_DATABASE_URL: pooler.url });
    expect([found.code, found.output]).toEqual([1, expect.stringContaining(DEAF) as string]);
    const uncached = await runHop(["doctor"], { HOP_DATABASE_URL: pooler.url, HOP_CACHE: "off" });
    expect([uncached.code, uncached.output]).toEqual([0, expect.not.stringContaining(DEAF) as string]);
  },
  TIMEOUT_MS,
);

test(
  "a server behind a pooler in session mode hears of edits; put into transaction mode it says that it no longer does, until it does",
  async () => {
    await using pooler = await startPgBouncer(database.url, "session");
    const hop = await startHop({ HOP_DATABASE_URL: pooler.url });
    try {
      expect(
        (await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "edited" })).status,
      ).toBe(201);
      const before = await hop.metric(HEARD);
      await database.sql`UPDATE links SET title = 'edited' WHERE code = 'edited'`;
      await waitFor("the edit to be heard", async () => (await hop.metric(HEARD)) > before);

      await pooler.setMode("transaction");
      await loseListener();
      await waitFor("the log to say why", () => hop.output().includes(DEAF));
      expect(await hop.metric(LISTENING)).toBe(0);
      expect((await fetch(`${hop.url}/edited`, { redirect: "manual" })).status).toBe(302);

      await pooler.setMode("session");
      await waitFor("it to hear again", async () => (await hop.metric(LISTENING)) === 1);
    } finally {
      await hop.kill("SIGTERM");
    }
  },
  TIMEOUT_MS,
);

async function loseListener(): Promise<void> {
  await database.sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'hop listener'`;
}
