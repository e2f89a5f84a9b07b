// The commands of hop as an operator meets them: what they print, and the exit codes that scripts rely on.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { PostgresClickStore } from "../../src/storage/postgres/clicks.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { PostgresRollup } from "../../src/storage/postgres/rollup.ts";
import { aClick, aProducer } from "../helpers/clicks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { runHop } from "../helpers/hop-process.ts";

const USAGE = 64;

let database: TestDatabase;
let env: { HOP_DATABASE_URL: string };

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
  env = { HOP_DATABASE_URL: database.url };
});

afterAll(() => database.drop());

describe("help", () => {
  test.each([
    [[], "Commands:"],
    [["serve"], "--port <number>"],
    [["migrate"], "status"],
    [["migrate", "up"], "every migration that is missing"],
    [["migrate", "down"], "THIS DELETES DATA"],
    [["migrate", "status"], "exit code 1 when some are missing"],
    [["keys"], "create [options]"],
    [["keys", "create"], "links:read, links:write, stats:read, admin"],
    [["keys", "list"], "--json"],
    [["keys", "revoke"], "the number that `hop keys list` shows"],
    [["ledger"], "2 undecided"],
  ])("of hop %p says how to use it", async (command, text) => {
    const { code, output } = await runHop([...command, "--help"], {});
    expect(code).toBe(0);
    expect(output).toStartWith("Usage: hop");
    expect(output.replaceAll(/\s+/g, " ")).toContain(text);
  });

  test("npx hop works inside the checkout", () => {
    const { status, stdout } = spawnSync("npx", ["hop", "--version"], {
      cwd: `${import.meta.dir}/../..`,
      encoding: "utf8",
    });
    expect([status, stdout.trim()]).toEqual([0, packageJson.version]);
  });
});

describe("a command line that has to be mended ends with 64 and says how", () => {
  test.each([
    [["lists"], "unknown command 'lists'"],
    [["serve", "--prot", "1"], "unknown option '--prot'"],
    [["serve", "here"], "too many arguments"],
    [["serve", "--port", "80x"], "--port:"],
    [["serve", "--preset", "v9"], "--preset:"],
    [["migrate", "down"], "required option '--to <version>'"],
    [["migrate", "down", "--to", "first"], "It is a number"],
    [["keys", "create", "--name", "x"], "required option '--scopes <list>'"],
    [
      ["keys", "create", "--name", "x", "--scopes", "links:read,links"],
      '"links" is not a scope; choose from',
    ],
    [["keys", "revoke"], "missing required argument 'id'"],
    [["keys", "revoke", "first"], "It is a number"],
  ])("hop %p", async (command, message) => {
    const { code, output } = await runHop(command, env);
    expect([code, output]).toEqual([USAGE, expect.stringContaining(message) as string]);
  });

  test.each([[["serve"]], [["migrate", "status"]], [["keys", "list"]], [["ledger"]]])(
    "hop %p with every problem of its environment at once, a line each",
    async (command) => {
      const wrong = { HOP_DATABSE_URL: "x", HOP_PORT: "80x", HOP_LOG_LEVEL: "loud" };
      const { code, output } = await runHop(command, wrong);
      expect(code).toBe(USAGE);
      const lines = output.trim().split("\n").toSorted();
      expect(lines).toHaveLength(3);
      expect(lines[0]).toStartWith(
        "hop: HOP_DATABSE_URL: hop has no such variable; did you mean HOP_DATABASE_URL?",
      );
      expect(lines[1]).toStartWith("hop: HOP_LOG_LEVEL: ");
      expect(lines[2]).toStartWith('hop: HOP_PORT: "80x"');
    },
  );
});

describe("a command that asks the database", () => {
  const COMMANDS = [
    [["ledger"], 2],
    [["keys", "list"], 1],
    [["rebuild-rollups"], 1],
    [["rejudge-bots"], 1],
  ] as const;

  test.each(COMMANDS)(
    "hop %p leaves a schema of another version as it is, and says what to do",
    async (command, exit) => {
      const empty = await createTestDatabase();
      try {
        const { code, output } = await runHop(command, { HOP_DATABASE_URL: empty.url });
        expect([code, output]).toEqual([
          exit,
          expect.stringContaining(
            "the database lacks migrations of this version; run `hop migrate up`",
          ) as string,
        ]);
        expect(await empty.sql`SELECT FROM pg_tables WHERE schemaname = 'public'`).toHaveLength(0);
      } finally {
        await empty.drop();
      }
    },
  );

  const ALL = [...COMMANDS.map(([command]) => command), ["migrate", "status"]];
  test.each(ALL.map((command) => [command] as const))(
    "hop %p makes no embedded database",
    async (command) => {
      const directory = await mkdtemp(join(tmpdir(), "hop-none-"));
      try {
        const { code, output } = await runHop(command, { HOP_DATA_DIR: directory });
        expect([code, output]).toEqual([
          USAGE,
          `hop: HOP_DATABASE_URL: it is not set, and ${directory} has no embedded Postgres; set it, or HOP_DATA_DIR, as \`hop serve\` has them\n`,
        ]);
        expect(await readdir(directory)).toEqual([]);
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  );
});

describe("hop keys", () => {
  test("a key is printed once when it is made, listed without its secret, and revoked", async () => {
    const made = await runHop(
      ["keys", "create", "--name", "ci 'bot'", "--scopes", "links:read,stats:read"],
      env,
    );
    expect(made.code).toBe(0);
    const [key = "", sentence = ""] = made.output.split("\n");
    expect(key).toMatch(/^hop_[\w-]{43}$/);
    const id = /^Key (\d+) /.exec(sentence)?.[1] ?? "";
    expect(sentence).toBe(`Key ${id} "ci 'bot'" may: links:read, stats:read. It is not shown again.`);

    const listed = await runHop(["keys", "list"], env);
    expect(listed.output).toContain(
      `${id}  ${key.slice(0, 12)}…  ci 'bot'  [links:read, stats:read]  valid, never used`,
    );
    expect(listed.output).not.toContain(key);

    expect(await runHop(["keys", "revoke", id], env)).toEqual({ code: 0, output: `key ${id} is revoked\n` });
    const again = await runHop(["keys", "revoke", id], env);
    expect([again.code, again.output]).toEqual([
      1,
      `hop: no valid key has the number ${id}; see \`hop keys list\`\n`,
    ]);
    const json = JSON.parse((await runHop(["keys", "list", "--json"], env)).output) as object[];
    expect(json).toEqual([
      expect.objectContaining({ id: Number(id), name: "ci 'bot'", revokedAt: expect.any(String) as string }),
    ]);
    expect(JSON.stringify(json)).not.toContain("hash");
  });
});

const ledger = (...options: string[]) => runHop(["ledger", ...options], env);

describe("hop ledger", () => {
  const producer = aProducer();

  test("ends with 0 while every click is accounted for, and with 1 when one is lost", async () => {
    const clicks = new PostgresClickStore(database.sql);
    await clicks.storeBatches([{ producer, seq: 1, clicks: [aClick(), aClick()] }]);
    await new PostgresRollup(database.sql).rollUpTotals(100, "patient");
    const balanced = await ledger();
    expect(balanced.code).toBe(0);
    expect(balanced.output).toStartWith("The click ledger is BALANCED.");
    expect(balanced.output).toMatch(/clicks in confirmed batches +2\n/);

    await clicks.storeBatches([{ producer, seq: 3, clicks: [aClick()] }]);
    const lost = await ledger();
    expect(lost.code).toBe(1);
    expect(lost.output).toContain(`producer ${producer.id} lacks 1 of 3 batches (numbers 2)`);
    const report = await ledger("--json");
    expect(report.code).toBe(1);
    expect(JSON.parse(report.output)).toMatchObject({
      verdict: "unbalanced",
      batchClicks: 3,
      storedClicks: 3,
      producers: [{ id: producer.id, missing: [2] }],
    });

    await clicks.storeBatches([{ producer, seq: 2, clicks: [aClick()] }]);
    expect((await ledger()).code).toBe(0);
    await database.sql`DELETE FROM clicks WHERE ctid IN (SELECT ctid FROM clicks LIMIT 1)`;
    expect((await ledger()).output).toContain("1 clicks of confirmed batches are not stored");
  });

  test("ends with 2 when it could not be decided", async () => {
    await database.sql`TRUNCATE clicks, click_batches, click_queue, rollup_rounds, producers, link_hours`;
    await new PostgresClickStore(database.sql).storeBatches([
      { producer: aProducer({ ack: "async" }), seq: 1, clicks: [aClick()] },
    ]);
    const open = await ledger();
    expect([open.code, open.output]).toEqual([2, expect.stringContaining("has not ended") as string]);
    const away = await runHop(["ledger"], { HOP_DATABASE_URL: "postgres://u:p@127.0.0.1:1/x" });
    expect([away.code, away.output]).toEqual([
      2,
      "hop: the ledger could not be read: The database cannot be reached now; try again. (connect ECONNREFUSED 127.0.0.1:1)\n",
    ]);
  });
});
