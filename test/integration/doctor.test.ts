// hop doctor as an operator meets it: one thing broken at a time is found, alone, with how to mend it and the exit code.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { freePort, type HopEnvironment, runHop, startHop } from "../helpers/hop-process.ts";
import { TestRedis } from "../helpers/redis.ts";

/** Starts of hop, and 5 s of patience with what does not answer. */
const TIMEOUT_MS = 60_000;

const reportSchema = z.object({
  status: z.enum(["ok", "warn", "fail"]),
  findings: z.array(
    z.strictObject({
      name: z.string(),
      status: z.enum(["ok", "warn", "fail"]),
      says: z.string().min(1),
      mend: z.string().min(1).optional(),
    }),
  ),
});

const opened = new AsyncDisposableStack();
let database: TestDatabase;
let directory: string;
/** Everything that hop needs, whole. */
let whole: HopEnvironment;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hop-doctor-"));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  database = await createTestDatabase();
  opened.defer(() => database.drop());
  const redis = await openRedis();
  whole = { HOP_DATABASE_URL: database.url, HOP_REDIS_URL: redis.url, HOP_DATA_DIR: directory };
  expect((await runHop(["migrate", "up"], whole)).code).toBe(0);
});

afterAll(() => opened.disposeAsync());

async function openRedis(...settings: readonly string[]): Promise<TestRedis> {
  const redis = await TestRedis.start({ fsync: "everysec", arguments: settings });
  opened.defer(() => redis.stop());
  return redis;
}

/** Where nobody listens. */
const away = async () => `127.0.0.1:${await freePort()}`;

async function runDoctor(broken: HopEnvironment = {}) {
  const { code, output } = await runHop(["doctor", "--json"], { ...whole, ...broken });
  const report = reportSchema.parse(JSON.parse(output));
  const withStatus = (wanted: string) => report.findings.filter(({ status }) => status === wanted);
  return { code, ...report, failing: withStatus("fail"), warning: withStatus("warn") };
}

test(
  "where nothing is broken nothing fails, and the exit code is 0",
  async () => {
    const { code, status, failing, findings } = await runDoctor();
    expect({ code, failing }).toEqual({ code: 0, failing: [] });
    expect(status).not.toBe("fail");
    const examined = findings.map(({ name }) => name);
    for (const name of ["configuration", "migrations", "database connections", "redis", "data directory"]) {
      expect(examined).toContain(name);
      expect(findings.find((finding) => finding.name === name)).not.toHaveProperty("mend");
    }
  },
  TIMEOUT_MS,
);

describe("what hop cannot run with is the one thing that fails, and the exit code is 1", () => {
  test.each<[string, string, RegExp, RegExp, () => Promise<HopEnvironment>]>([
    [
      "a database that is away",
      "database",
      /HOP_DATABASE_URL: Postgres did not answer for 5 s/,
      /start it or correct the URL/,
      async () => ({ HOP_DATABASE_URL: `postgres://hop:secret-word@${await away()}/hop` }),
    ],
    [
      "a Redis that is away",
      "redis",
      /HOP_REDIS_URL/,
      /start it|correct/,
      async () => ({ HOP_REDIS_URL: `redis://:secret-word@${await away()}` }),
    ],
    [
      // Root may write anywhere but where nobody can.
      "a data directory that cannot be written to",
      "data directory",
      /cannot be written to/,
      /make \/proc\/hop a directory that the user running hop can write to, or set HOP_DATA_DIR/,
      async () => ({ HOP_DATA_DIR: "/proc/hop" }),
    ],
    [
      "a data directory that is a file",
      "data directory",
      /is not a directory/,
      /set HOP_DATA_DIR/,
      async () => {
        const file = join(directory, "file");
        await writeFile(file, "");
        return { HOP_DATA_DIR: file };
      },
    ],
    [
      "a configuration that is wrong",
      "configuration",
      /HOP_WORKERS/,
      /correct it and run hop doctor again/,
      async () => ({ HOP_WORKERS: "many" }),
    ],
    [
      "more connections than the database takes",
      "database connections",
      /this host may open 1200; Postgres takes \d+/,
      /lower HOP_DATABASE_CONNECTIONS or HOP_WORKERS, or raise max_connections/,
      async () => ({ HOP_WORKERS: "99" }),
    ],
  ])(
    "%s",
    async (_what, name, says, mend, breakIt) => {
      const { code, status, failing } = await runDoctor(await breakIt());
      expect(failing.map((finding) => finding.name)).toEqual([name]);
      const [{ says: said, mend: mending } = { says: "", mend: "" }] = failing;
      expect(said).toMatch(says);
      expect(`${said}; ${mending}`).toMatch(mend);
      expect(said).not.toContain("secret-word");
      expect({ code, status }).toEqual({ code: 1, status: "fail" });
    },
    TIMEOUT_MS,
  );
});

test(
  "a user of the database that may read and write and no more is found out, and given what is proposed it will do",
  async () => {
    const other = await createTestDatabase();
    const { database: name } = other.connection;
    const user = `${name}_user`;
    const { sql } = other;
    try {
      await sql.unsafe(`CREATE ROLE ${user} LOGIN PASSWORD 'secret-word'`);
      const url = new URL(other.url);
      [url.username, url.password] = [user, "secret-word"];
      const env = { HOP_DATABASE_URL: url.href };
      const rights = async () => (await runDoctor(env)).failing;

      expect(await rights()).toEqual([
        {
          name: "database rights",
          status: "fail",
          says: `${user} may not make tables in ${name}`,
          mend: `make it the owner: ALTER DATABASE "${name}" OWNER TO "${user}"`,
        },
      ]);
      const refused = await runHop(["migrate", "up"], { ...whole, ...env });
      expect(refused).toEqual({
        code: 1,
        output:
          "hop: the user of the database lacks rights (permission denied for schema public); `hop doctor` says what it needs\n",
      });
      await sql.unsafe(`ALTER DATABASE ${name} OWNER TO ${user}`);
      expect(await rights()).toEqual([]);

      expect((await runHop(["migrate", "up"], { ...whole, HOP_DATABASE_URL: other.url })).code).toBe(0);
      expect(await rights()).toMatchObject([
        {
          says: `the tables belong to somebody else than ${user}`,
          mend: `give them to it, as a superuser, each table and sequence: ALTER TABLE … OWNER TO "${user}"`,
        },
      ]);
      const tables = await sql<{ name: string }[]>`
        SELECT oid::regclass::text AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND (relkind IN ('r', 'p')
          OR relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'i'))`;
      for (const table of tables) await sql.unsafe(`ALTER TABLE ${table.name} OWNER TO ${user}`);
      expect(await rights()).toEqual([]);
      const hop = await startHop(env);
      expect(
        (await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "own" })).status,
      ).toBe(201);
      expect((await hop.api("GET", "/own")).status).toBe(302);
      expect(await (await hop.api("GET", "/api/v1/links/own/stats")).json()).toMatchObject({ total: 1 });
      expect(await hop.kill("SIGTERM")).toBe(0);
    } finally {
      await sql.unsafe(`REASSIGN OWNED BY ${user} TO CURRENT_USER; DROP OWNED BY ${user}; DROP ROLE ${user}`);
      await other.drop();
    }
  },
  TIMEOUT_MS,
);

describe("what hop runs with, and somebody will regret, is a warning, and the exit code is 0", () => {
  test.each<[string, string, RegExp, RegExp, () => Promise<HopEnvironment>]>([
    [
      "a Redis that may evict clicks",
      "redis eviction",
      /may throw clicks away when its memory is full \(allkeys-lru\)/,
      /maxmemory-policy noeviction/,
      async () => {
        const redis = await openRedis("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru");
        return { HOP_REDIS_URL: redis.url, HOP_CLICKS: "stream" };
      },
    ],
    [
      "a spool larger than the disk has free",
      "disk space",
      /\d+ MiB free; the spool may take 1048576 MiB/,
      /free some, or lower HOP_SPOOL_BYTES/,
      async () => ({ HOP_SPOOL_BYTES: String(2 ** 40) }),
    ],
    [
      "a schema that is missing",
      "migrations",
      /missing, from number 1 on/,
      /hop migrate up/,
      async () => {
        const empty = await createTestDatabase();
        opened.defer(() => empty.drop());
        return { HOP_DATABASE_URL: empty.url };
      },
    ],
  ])(
    "%s",
    async (_what, name, says, mend, breakIt) => {
      const before = await runDoctor();
      expect(before.warning.map((finding) => finding.name)).not.toContain(name);
      const { code, status, failing, warning } = await runDoctor(await breakIt());
      expect(failing).toEqual([]);
      const found = warning.find((finding) => finding.name === name);
      expect(found?.says).toMatch(says);
      expect(found?.mend).toMatch(mend);
      expect({ code, status }).toEqual({ code: 0, status: "warn" });
    },
    TIMEOUT_MS,
  );
});

test(
  "where there is no database yet it says so, and makes none",
  async () => {
    const empty = join(directory, "empty");
    const { code, output } = await runHop(["doctor"], { HOP_DATA_DIR: empty });
    expect(output).toContain(`warn  database              there is none in ${empty} yet\n`);
    expect(output).toContain("→ start hop serve, which makes one;");
    expect(output).toContain(`${empty} will be made`);
    expect(code).toBe(0);
    expect(existsSync(empty)).toBe(false);
  },
  TIMEOUT_MS,
);

test(
  "for people it prints a line for each thing, and how to mend it below",
  async () => {
    const { code, output } = await runHop(["doctor"], { ...whole, HOP_DATA_DIR: "/proc/hop" });
    expect(code).toBe(1);
    expect(output).toMatch(/^ok {4}configuration +is valid$/m);
    expect(output).toMatch(
      /^fail {2}data directory +\/proc cannot be written to \(\w+\)\n +→ make \/proc\/hop /m,
    );
  },
  TIMEOUT_MS,
);
