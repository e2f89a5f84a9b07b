// Secrets stay inside: real processes with secrets in every variable that takes one, provoked into every error we know.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { freePort, type HopProcess, runHop, startHop, startWork } from "../helpers/hop-process.ts";
import { TestRedis } from "../helpers/redis.ts";
import { waitFor } from "../helpers/wait-for.ts";

const ADMIN = "hop_sekret-admin-key-sekret-admin-key-0123456789";
const DATABASE_PASSWORD = "sekret-p@ss/word";
const REDIS_PASSWORD = "sekret-redis-password";
/** In every secret, however it is encoded. */
const MARK = "sekret";

let database: TestDatabase;
let redis: TestRedis;
let role: string;
/** As HOP_DATABASE_URL, with this password. */
const databaseUrl = (password: string) =>
  database.url.replace(/\/\/[^@]+@/, `//${role}:${encodeURIComponent(password)}@`);
const redisUrl = (password: string) => `redis://:${password}@127.0.0.1:${redis.port}`;

beforeAll(async () => {
  database = await createTestDatabase();
  role = `${database.connection.database}_owner`;
  await database.sql.unsafe(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD '${DATABASE_PASSWORD}'`);
  redis = await TestRedis.start();
  await redis.client.config("SET", "requirepass", REDIS_PASSWORD);
});
afterAll(async () => {
  await database?.sql.unsafe(
    `REASSIGN OWNED BY ${role} TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`,
  );
  await database?.drop();
  await redis?.stop();
});

const good = () => ({
  HOP_DATABASE_URL: databaseUrl(DATABASE_PASSWORD),
  HOP_REDIS_URL: redisUrl(REDIS_PASSWORD),
  HOP_ADMIN_KEY: ADMIN,
  HOP_LOG_LEVEL: "trace",
});

/** Everything that a process shows: what it printed, its metrics, how it is listed, and what it says to strangers. */
async function shownBy(
  hop: Pick<HopProcess, "pid" | "output" | "adminUrl"> & { url?: string },
): Promise<string> {
  const authorised = { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" };
  const answers = [
    fetch(`${hop.adminUrl}/metrics`),
    fetch(`${hop.adminUrl}/readyz`),
    ...(hop.url === undefined
      ? []
      : [
          fetch(`${hop.url}/api/v1/links`, { headers: authorised }),
          fetch(`${hop.url}/api/v1/links`, { headers: { Authorization: "Bearer hop_wrong" } }),
          fetch(`${hop.url}/api/v1/links`, {
            method: "POST",
            headers: authorised,
            body: '{"url":"nonsense"}',
          }),
          fetch(`${hop.url}/never-${Math.random().toString(36).slice(2)}`),
          fetch(`${hop.url}/api/openapi.json`),
        ]),
  ];
  const texts = await Promise.all(
    answers.map(async (answer) => {
      const { headers, text } = await answer.then(async (each) => ({
        headers: each.headers,
        text: await each.text(),
      }));
      return `${JSON.stringify([...headers])} ${text}`;
    }),
  );
  const listed = await Promise.all(
    ["cmdline", "comm"].map((name) => readFile(`/proc/${hop.pid}/${name}`, "utf8")),
  );
  return [hop.output(), ...texts, ...listed].join("\n");
}

const expectNoSecret = (shown: string) => expect(shown).not.toMatch(new RegExp(`${MARK}|s%65kret`, "i"));

describe("a server and a worker with secrets", () => {
  test("show none while all is well, and none while Postgres and Redis refuse, vanish and change their passwords", async () => {
    const hop = await startHop(good());
    const worker = await startWork(good());
    const created = await fetch(`${hop.url}/api/v1/links`, {
      method: "POST",
      headers: { Authorization: `Bearer ${ADMIN}`, "Content-Type": "application/json" },
      body: JSON.stringify({ url: "https://example.com/", code: "known" }),
    });
    expect(created.status).toBe(201);
    expect(await shownBy(hop)).toContain('hop_clicks_total{stage="recorded"}');

    await redis.client.config("SET", "requirepass", `${REDIS_PASSWORD}-changed`);
    await redis.client.call("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "yes");
    await database.sql.unsafe(`ALTER ROLE ${role} PASSWORD '${DATABASE_PASSWORD}-changed'`);
    database.proxy.cut();
    await waitFor("both to be missed", async () => {
      const { dependencies } = (await (await fetch(`${hop.adminUrl}/readyz`)).json()) as {
        dependencies: Record<string, string>;
      };
      return dependencies["postgres"] === "down" && dependencies["redis"] === "down";
    });
    await Promise.all(Array.from({ length: 20 }, () => fetch(`${hop.url}/known`, { redirect: "manual" })));
    await waitFor("the refusal to be logged", () => hop.output().includes("WRONGPASS"));
    for (const process of [hop, worker]) expectNoSecret(await shownBy(process));

    database.proxy.setMode("refuse");
    await redis.kill();
    for (const process of [hop, worker]) expectNoSecret(await shownBy(process));
    await Promise.all([hop.kill("SIGTERM"), worker.kill("SIGTERM")]);
    for (const process of [hop, worker]) expectNoSecret(process.output());
    expect(hop.output().length).toBeGreaterThan(500);

    database.proxy.setMode("pass");
    await database.sql.unsafe(`ALTER ROLE ${role} PASSWORD '${DATABASE_PASSWORD}'`);
    await redis.start();
    await redis.client.config("SET", "requirepass", REDIS_PASSWORD);
  });
});

/** The same place with nobody there. */
const closed = async (url: string) => url.replace(/:\d+(\/|$)/, `:${await freePort()}$1`);

describe("a command that fails", () => {
  const failures: [string, string[], () => Promise<Record<string, string>>][] = [
    [
      "for a wrong password of Postgres",
      ["serve"],
      async () => ({ HOP_DATABASE_URL: databaseUrl("sekret-wrong") }),
    ],
    [
      "for a Postgres that is not there",
      ["serve"],
      async () => ({ HOP_DATABASE_URL: await closed(databaseUrl(DATABASE_PASSWORD)) }),
    ],
    [
      "for a database that does not exist",
      ["keys", "list"],
      async () => ({ HOP_DATABASE_URL: `${databaseUrl(DATABASE_PASSWORD)}x` }),
    ],
    ["for a wrong password of Redis", ["work"], async () => ({ HOP_REDIS_URL: redisUrl("sekret-wrong") })],
    [
      "for a Redis that is not there",
      ["work"],
      async () => ({ HOP_REDIS_URL: await closed(redisUrl(REDIS_PASSWORD)) }),
    ],
    ["for a Redis of a command", ["dead", "list"], async () => ({ HOP_REDIS_URL: redisUrl("sekret-wrong") })],
    [
      "for a host that is none",
      ["migrate", "status"],
      async () => ({ HOP_DATABASE_URL: "postgres://hop:sekret@no-such-host.invalid/hop" }),
    ],
    [
      "for URLs that are none",
      ["serve"],
      async () => ({
        HOP_DATABASE_URL: "mysql://hop:sekret@db/hop",
        HOP_REDIS_URL: "sekret",
        HOP_ADMIN_KEY: "sekret",
      }),
    ],
    [
      "for a secret where its path belongs",
      ["serve"],
      async () => ({ HOP_DATABASE_URL: "", HOP_DATABASE_URL_FILE: "postgres://hop:sekret@db/hop" }),
    ],
  ];
  test.each(failures)("%s says so without a secret", async (_name, args, env) => {
    const { code, output } = await runHop(args, {
      ...good(),
      HOP_PORT: "0",
      HOP_ADMIN_PORT: "0",
      HOP_WORK_ADMIN_PORT: "0",
      HOP_START_TIMEOUT_MS: "400",
      ...(await env()),
    });
    expect(code).not.toBe(0);
    expect(output).toMatch(/^hop: .*(HOP_\w+|database)/m);
    expectNoSecret(output);
  });
});
