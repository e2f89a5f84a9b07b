// The admin key: shown once, given once, and never given out to the second who comes.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type HopProcess, runHop, startHop } from "../helpers/hop-process.ts";

const GIVEN = "hop_a-key-that-was-given-a-key-that-was-given";
const SHOWN = /shown only now: (hop_[\w-]+)/;

let database: TestDatabase;
let running: HopProcess[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((hop) => hop.kill("SIGTERM")));
  await database.drop();
});

async function start(env: Record<string, string> = {}): Promise<HopProcess> {
  const hop = await startHop({ HOP_DATABASE_URL: database.url, HOP_ADMIN_KEY: "", ...env });
  running.push(hop);
  return hop;
}

/** What the API answers to this key. */
async function statusWith(hop: HopProcess, key: string): Promise<number> {
  const answer = await hop.api("GET", "/api/v1/links", undefined, { Authorization: `Bearer ${key}` });
  await answer.body?.cancel();
  return answer.status;
}

test("the first start shows an admin key once, which works, and later starts show none", async () => {
  const first = await start({ HOP_LOG_LEVEL: "trace" });
  const key = SHOWN.exec(first.output())?.[1] ?? "";
  expect(await statusWith(first, key)).toBe(200);
  expect(first.output().split(key)).toHaveLength(2);
  expect(await first.kill("SIGTERM")).toBe(0);
  const second = await start();
  expect(second.output()).not.toMatch(/hop_[\w-]{20}/);
  expect(await statusWith(second, key)).toBe(200);
});

test("of several that start at once on an empty database one shows a key", async () => {
  const hops = await Promise.all(Array.from({ length: 4 }, () => start()));
  const keys = hops.flatMap((hop) => SHOWN.exec(hop.output())?.[1] ?? []);
  expect(keys).toHaveLength(1);
  for (const hop of hops) expect(await statusWith(hop, keys[0] ?? "")).toBe(200);
});

test("HOP_ADMIN_KEY is the key, is not shown, and also works on a database that has keys", async () => {
  const hop = await start({ HOP_ADMIN_KEY: GIVEN, HOP_LOG_LEVEL: "trace" });
  expect(await statusWith(hop, GIVEN)).toBe(200);
  expect(hop.output()).not.toContain("hop_");
  expect(hop.output()).not.toContain(GIVEN.slice(4));
  await hop.kill("SIGTERM");
  const other = await start({ HOP_ADMIN_KEY: `${GIVEN}-other` });
  expect(await statusWith(other, `${GIVEN}-other`)).toBe(200);
  expect(await statusWith(other, GIVEN)).toBe(200);
});

test("HOP_ADMIN_KEY_FILE is honoured", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hop-key-"));
  try {
    const file = join(directory, "key");
    await writeFile(file, `${GIVEN}\n`);
    const hop = await start({ HOP_ADMIN_KEY_FILE: file });
    expect(await statusWith(hop, GIVEN)).toBe(200);
    expect(hop.output()).not.toContain("hop_");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("an admin key that was revoked stays revoked, at once and after a restart", async () => {
  const env = { HOP_ADMIN_KEY: GIVEN };
  const hop = await start(env);
  expect(await statusWith(hop, GIVEN)).toBe(200);
  expect((await runHop(["keys", "revoke", "1"], { HOP_DATABASE_URL: database.url })).code).toBe(0);
  expect(await statusWith(hop, GIVEN)).toBe(401);
  await hop.kill("SIGTERM");
  expect(await statusWith(await start(env), GIVEN)).toBe(401);
});

test("a key that is too weak is refused before anything is opened", async () => {
  const { code, output } = await runHop(["serve"], {
    HOP_DATABASE_URL: database.url,
    HOP_ADMIN_KEY: "secret",
  });
  expect(code).toBe(64);
  expect(output).toStartWith("hop: HOP_ADMIN_KEY: its value (not shown)");
});
