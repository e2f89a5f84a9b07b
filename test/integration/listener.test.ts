// Hearing of changed links: every change, by whomever, and coming back after the connection was lost.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { PostgresLinkStore } from "../../src/storage/postgres/links.ts";
import { LinkListener } from "../../src/storage/postgres/listener.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { newLink } from "../contract/stores.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { waitFor } from "../helpers/wait-for.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

let database: TestDatabase;
let links: PostgresLinkStore;
let listener: LinkListener;
let heard: string[] = [];
let versions: (number | undefined)[] = [];
let listening: boolean[] = [];
let gaps = 0;

beforeEach(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
  links = new PostgresLinkStore(database.sql);
  [heard, versions, listening, gaps] = [[], [], [], 0];
  listener = new LinkListener({
    database: { address: { url: database.url }, statementTimeoutMs: 5_000, applicationName: "test listener" },
    sql: database.sql,
    onChange: (code, sentAtMs, version) => {
      expect(Math.abs(Date.now() - sentAtMs)).toBeLessThan(60_000);
      heard.push(code);
      versions.push(version);
    },
    onGap: () => void gaps++,
    onListening: (state) => listening.push(state),
    log: quiet,
  });
  await listener.listening;
});

afterEach(async () => {
  await listener.close();
  await database.drop();
});

/** Everything heard up to a marker that is sent now. */
async function heardUntilNow(): Promise<string[]> {
  await database.sql`SELECT pg_notify('hop_links', ${`1 ${Date.now()} marker`})`;
  await waitFor("the marker", () => heard.includes("marker"));
  return heard.filter((code) => code !== "marker");
}

describe("the listener", () => {
  test("hears of chosen codes, changes and deletions, in order", async () => {
    await links.insert([newLink("a"), newLink("b")]);
    await links.update("a", { title: "new" });
    await links.delete("b");
    expect(await heardUntilNow()).toEqual(["a", "b", "a", "b"]);
  });

  test("is not told of generated codes, which nobody can have asked for", async () => {
    await links.insert([newLink("generated", { chosen: false }), newLink("chosen")]);
    expect(await heardUntilNow()).toEqual(["chosen"]);
  });

  test("hears of edits by hand: both codes of a renamed link, and rows that are deleted", async () => {
    await links.insert([newLink("old", { chosen: false })]);
    await database.sql`UPDATE links SET code = 'renamed' WHERE code = 'old'`;
    await database.sql`DELETE FROM links WHERE code = 'renamed'`;
    expect(await heardUntilNow()).toEqual(["renamed", "old", "renamed"]);
  });

  test("is told versions that grow for a code, whatever happens to its links", async () => {
    const routeVersion = async (code: string) => (await links.findRoutes([code]))[0]?.version;
    await links.insert([newLink("a"), newLink("b")]);
    const inserted = await routeVersion("a");
    await links.update("a", { title: "new" });
    const updated = await routeVersion("a");
    await database.sql`DELETE FROM links WHERE code = 'a'`;
    await database.sql`UPDATE links SET code = 'a' WHERE code = 'b'`;
    const renamed = await routeVersion("a");
    await database.sql`TRUNCATE links RESTART IDENTITY CASCADE`;
    await links.insert([newLink("a")]);
    const again = await routeVersion("a");
    expect(await heardUntilNow()).toEqual(["a", "b", "a", "a", "a", "b", "a"]);
    const ofA = versions.filter((_, index) => heard[index] === "a");
    expect(ofA).toEqual([inserted, updated, expect.any(Number), renamed, again]);
    expect(ofA).toEqual(ofA.toSorted((one, other) => (one ?? 0) - (other ?? 0)));
    expect(new Set(ofA).size).toBe(5);
    expect(versions.at(-1)).toBeUndefined();
  });

  test("hears nothing of a change that was rolled back", async () => {
    await database.sql
      .begin(async (sql) => {
        await new PostgresLinkStore(sql).insert([newLink("never")]);
        throw new Error("roll back");
      })
      .catch(() => undefined);
    expect(await heardUntilNow()).toEqual([]);
  });

  test("takes TRUNCATE for a gap: every link changed", async () => {
    const before = gaps;
    await database.sql`TRUNCATE links CASCADE`;
    await waitFor("the gap", () => gaps > before);
  });

  test("says that it missed something when its connection is cut, and hears again when it is back", async () => {
    const before = gaps;
    database.proxy.setMode("refuse");
    database.proxy.cut();
    await waitFor("the loss", () => listening.at(-1) === false);
    expect(gaps).toBeGreaterThan(before);
    await links.insert([newLink("missed")]);
    const duringLoss = gaps;
    database.proxy.setMode("pass");
    await waitFor("its return", () => listening.at(-1) === true);
    // Whatever was kept from before the return may be wrong.
    expect(gaps).toBeGreaterThan(duringLoss);
    await links.insert([newLink("after")]);
    expect(await heardUntilNow()).toEqual(["after"]);
  });

  test("comes back when its connection is ended by the server, time and again", async () => {
    for (let round = 1; round <= 3; round++) {
      const returns = listening.filter(Boolean).length;
      await database.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test listener'`;
      await waitFor("its return", () => listening.filter(Boolean).length > returns);
    }
    await links.insert([newLink("after")]);
    expect(await heardUntilNow()).toEqual(["after"]);
  });

  test("leaves one connection at most, and none when it is closed, also while the server is away", async () => {
    database.proxy.cut();
    await waitFor("its return", () => listening.length >= 3 && listening.at(-1) === true);
    await waitFor("one connection", () => database.proxy.connections === 1);
    database.proxy.setMode("refuse");
    database.proxy.cut();
    await waitFor("the loss", () => listening.at(-1) === false);
    await listener.close();
    expect(database.proxy.connections).toBe(0);
  });
});
