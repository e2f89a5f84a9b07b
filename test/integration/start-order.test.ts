// hop and its Postgres may start in any order; what waiting cannot mend is said at once.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { freePort, runHop, startHop } from "../helpers/hop-process.ts";
import { waitFor } from "../helpers/wait-for.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("hop that starts before its Postgres waits for it", async () => {
  database.proxy.setMode("refuse");
  let ready = false;
  const starting = startHop({ HOP_DATABASE_URL: database.url }).then((hop) => {
    ready = true;
    return hop;
  });
  await waitFor("hop to knock twice", () => database.proxy.refused >= 2);
  expect(ready).toBe(false);
  database.proxy.setMode("pass");
  const hop = await starting;
  expect((await fetch(`${hop.url}/readyz`)).status).toBe(200);
  expect(await hop.kill("SIGTERM")).toBe(0);
});

test("hop gives up on a Postgres that stays away, and says what to mend", async () => {
  const { code, output } = await runHop(["serve"], {
    HOP_DATABASE_URL: `postgres://hop:secret@127.0.0.1:${await freePort()}/hop`,
    HOP_START_TIMEOUT_MS: "600",
    HOP_PORT: "0",
    HOP_ADMIN_PORT: "0",
  });
  expect(code).toBe(1);
  expect(output).toContain("HOP_DATABASE_URL: Postgres did not answer for 1 s");
  expect(output).toContain("start it or correct the URL");
  expect(output).not.toContain("secret");
});

test("a wrong password ends hop at once", async () => {
  const { code, output } = await runHop(["serve"], {
    HOP_DATABASE_URL: database.url.replace(/:[^:@]+@/, ":wrong@"),
    HOP_PORT: "0",
    HOP_ADMIN_PORT: "0",
  });
  expect(code).toBe(1);
  expect(output).toContain("HOP_DATABASE_URL: Postgres refuses (password authentication failed");
});

test("a pooler that refuses the time limits ends hop at once, and hop says what to write instead", async () => {
  // What PgBouncer says to the first message of a session.
  const said = "SFATAL\0C08P01\0Munsupported startup parameter: statement_timeout\0\0";
  const length = Buffer.alloc(4);
  length.writeUInt32BE(4 + said.length);
  const refusal = Buffer.concat([Buffer.from("E"), length, Buffer.from(said)]);
  const pooler = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(refusal));
  }).listen(0, "127.0.0.1");
  await once(pooler, "listening");
  try {
    const { port } = pooler.address() as AddressInfo;
    const { code, output } = await runHop(["serve"], {
      HOP_DATABASE_URL: `postgres://hop@127.0.0.1:${port}/hop`,
      HOP_PORT: "0",
      HOP_ADMIN_PORT: "0",
    });
    expect(code).toBe(1);
    expect(output).toBe(
      "hop: HOP_DATABASE_URL: a pooler in front of Postgres refuses (unsupported startup parameter: statement_timeout); write the address of Postgres itself\n",
    );
  } finally {
    pooler.close();
  }
});

test("a Postgres that is too old ends hop at once", async () => {
  const old = await createTestDatabase();
  try {
    const { database: name } = old.connection;
    await old.sql.unsafe(`
      CREATE SCHEMA older;
      CREATE FUNCTION older.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '140012' $$;
      ALTER DATABASE ${name} SET search_path = older, pg_catalog, public`);
    const env = { HOP_DATABASE_URL: old.url, HOP_PORT: "0", HOP_ADMIN_PORT: "0" };
    expect(await runHop(["serve"], env)).toEqual({
      code: 1,
      output: "hop: HOP_DATABASE_URL: Postgres 14 is too old; use 15 or newer\n",
    });
  } finally {
    await old.drop();
  }
});
