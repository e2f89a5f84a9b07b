// The embedded database with real processes: made once, shared, adopted, brought back.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { chown, lstat, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { commandLine, kill, modeOf, query, refusalOf, serverPid, Stage } from "../helpers/embedded-stage.ts";
import { waitFor } from "../helpers/wait-for.ts";

setDefaultTimeout(60_000);

const isRoot = process.geteuid?.() === 0;
let stage = new Stage();

afterEach(async () => {
  await stage.clear();
  stage = new Stage();
});

/** The names in a data directory that belong to the database, finished or not. */
async function traces(dataDir: string): Promise<string[]> {
  const names = await readdir(dataDir).catch(() => []);
  return names.filter((name) => name.startsWith("postgres") && name !== "postgres.lock");
}

async function answers(connection: Parameters<typeof query>[0]): Promise<boolean> {
  return query(connection, "SELECT 1").then(
    () => true,
    () => false,
  );
}

/** Waits until so many processes have a place; Postgres takes a moment to see that a killed one is gone. */
async function waitForTenants(connection: Parameters<typeof query>[0], count: number): Promise<void> {
  await waitFor(`${count} processes to be attached`, async () => {
    const [row] = await query(
      connection,
      "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted",
    );
    return row?.[0] === count;
  });
}

test("what was committed is there after closing and opening again, and nothing runs in between", async () => {
  const dataDir = await stage.dataDir();
  const first = await stage.open(dataDir);
  await query(first.connection, "CREATE TABLE kept AS SELECT 42 AS answer");
  await Promise.all([first.close(), first.close()]);
  expect(await serverPid(dataDir)).toBeUndefined();
  const second = await stage.open(dataDir);
  expect(second.connection).toEqual(first.connection);
  expect(await query(second.connection, "SELECT answer FROM kept")).toEqual([[42]]);
  expect(await traces(dataDir)).toEqual(["postgres"]);
});

test("it is durable, private and UTF-8: settings, socket, password file, no TCP listener", async () => {
  const dataDir = await stage.dataDir();
  const { connection } = await stage.open(dataDir);
  const settings = await query(
    connection,
    `SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes'),
            current_setting('listen_addresses'), current_setting('server_encoding'), lower('ÄÉ')`,
  );
  expect(settings).toEqual([["on", "on", "on", "", "UTF8", "äé"]]);
  expect(await modeOf(join(dataDir, "postgres"))).toBe(0o700);
  expect(await modeOf(join(dataDir, "postgres/password"))).toBe(0o600);
  expect(await modeOf(dirname(connection.path))).toBe(0o700);
  const command = commandLine((await serverPid(dataDir)) ?? 0);
  expect(command).toContain("listen_addresses=");
  expect(command).not.toContain(connection.password);
  expect(await readFile(join(dataDir, "postgres/server.log"), "utf8")).not.toContain(connection.password);
  const wrong = await refusalOf(query({ ...connection, password: "guess" }, "SELECT 1"));
  expect(wrong).toContain("password authentication failed");
});

test("ten processes that open an empty directory at once share one cluster", async () => {
  const dataDir = await stage.dataDir();
  const openers = await Promise.all(Array.from({ length: 10 }, () => stage.spawn(dataDir)));
  const systems = await Promise.all(
    openers.map(({ connection }) =>
      query(
        connection,
        "SELECT system_identifier::text, pg_postmaster_start_time()::text FROM pg_control_system()",
      ),
    ),
  );
  expect(new Set(systems.flat().map(String)).size).toBe(1);
  expect(await traces(dataDir)).toEqual(["postgres"]);
  await Promise.all(openers.map((opener) => opener.close()));
  expect(await serverPid(dataDir)).toBeUndefined();
});

test("the first to leave leaves it running, the last stops it", async () => {
  const dataDir = await stage.dataDir();
  const first = await stage.spawn(dataDir);
  const second = await stage.spawn(dataDir);
  const pid = await serverPid(dataDir);
  await first.close();
  expect(await serverPid(dataDir)).toBe(pid);
  expect(await answers(second.connection)).toBe(true);
  await second.close();
  expect(await serverPid(dataDir)).toBeUndefined();
});

test("openers and leavers in every order never meet a server that is being stopped", async () => {
  const dataDir = await stage.dataDir();
  const visit = async (): Promise<void> => {
    for (let round = 0; round < 5; round += 1) {
      const database = await stage.open(dataDir);
      await query(database.connection, "SELECT 1");
      await database.close();
    }
  };
  await Promise.all(Array.from({ length: 4 }, visit));
  expect(stage.logs).toEqual([]);
  expect(await serverPid(dataDir)).toBeUndefined();
});

test("the server of a process that was killed is adopted, and stopped by the adopter", async () => {
  const dataDir = await stage.dataDir();
  const opener = await stage.spawn(dataDir);
  const pid = await serverPid(dataDir);
  await opener.kill();
  expect(await serverPid(dataDir)).toBe(pid);
  const adopter = await stage.open(dataDir);
  expect(await serverPid(dataDir)).toBe(pid);
  await waitForTenants(adopter.connection, 1);
  await adopter.close();
  expect(await serverPid(dataDir)).toBeUndefined();
});

test("after a kill -9 of the server every attached process has it back on the same path", async () => {
  const dataDir = await stage.dataDir();
  const [mine, ...others] = await Promise.all([
    stage.open(dataDir),
    stage.spawn(dataDir),
    stage.spawn(dataDir),
  ]);
  await query(mine.connection, "CREATE TABLE kept AS SELECT 42 AS answer");
  const killed = await serverPid(dataDir);
  if (killed === undefined) throw new Error("no server");
  process.kill(killed, "SIGKILL");
  await waitFor("a new server", async () => ![undefined, killed].includes(await serverPid(dataDir)));
  await waitFor("the answer", () => answers(mine.connection));
  expect(await query(mine.connection, "SELECT answer FROM kept")).toEqual([[42]]);
  await waitForTenants(mine.connection, 3);
  await Promise.all(others.map((opener) => opener.close()));
  expect(await answers(mine.connection)).toBe(true);
  await mine.close();
  expect(await serverPid(dataDir)).toBeUndefined();
});

test("closing while the server is coming back leaves no server behind", async () => {
  const dataDir = await stage.dataDir();
  const database = await stage.open(dataDir);
  for (const moment of ["bringing it back", "is back"]) {
    const mine = moment === "is back" ? await stage.open(dataDir) : database;
    const pid = await serverPid(dataDir);
    if (pid === undefined) throw new Error("no server");
    stage.logs.length = 0;
    process.kill(pid, "SIGKILL");
    await waitFor(moment, () => stage.logs.some((line) => line.includes(moment)));
    await mine.close();
    expect(await serverPid(dataDir)).toBeUndefined();
  }
});

test("a leftover server whose socket file vanished is stopped and started again", async () => {
  const dataDir = await stage.dataDir();
  const opener = await stage.spawn(dataDir);
  const pid = await serverPid(dataDir);
  await opener.kill();
  await rm(opener.connection.path);
  const database = await stage.open(dataDir);
  expect(await serverPid(dataDir)).not.toBe(pid);
  expect(await answers(database.connection)).toBe(true);
});

test("a socket file that vanishes while hop runs is made again", async () => {
  const dataDir = await stage.dataDir();
  const { connection } = await stage.open(dataDir);
  await rm(connection.path);
  await waitFor("the answer", () => answers(connection));
});

test("a process that got the pid of a dead server is left alone", async () => {
  const dataDir = await stage.dataDir();
  const opener = await stage.spawn(dataDir);
  const pid = await serverPid(dataDir);
  await opener.kill();
  if (pid === undefined) throw new Error("no server");
  await kill(pid, "SIGKILL");
  const file = join(await realpath(join(dataDir, "postgres")), "data/postmaster.pid");
  const bystander = Bun.spawn(["sleep", "60"]);
  try {
    const lines = (await readFile(file, "utf8")).split("\n");
    await writeFile(file, [bystander.pid, ...lines.slice(1)].join("\n"));
    const database = await stage.open(dataDir);
    expect(await answers(database.connection)).toBe(true);
    await database.close();
    expect(bystander.exitCode).toBeNull();
  } finally {
    bystander.kill("SIGKILL");
    await bystander.exited;
  }
});

test("a data directory with a very long path has its socket in a private directory", async () => {
  const dataDir = await stage.dataDir({ below: join("a".repeat(120), "b".repeat(120)) });
  const database = await stage.open(dataDir);
  const socketDir = dirname(database.connection.path);
  expect([tmpdir(), "/tmp"]).toContain(dirname(socketDir));
  expect(await modeOf(socketDir)).toBe(0o700);
  const other = await stage.spawn(dataDir);
  expect(other.connection).toEqual(database.connection);
  await other.close();
  await database.close();
  expect(existsSync(socketDir)).toBe(false);
});

test("a data directory that only its owner can enter works, and is found again", async () => {
  const dataDir = await stage.dataDir({ mode: 0o700 });
  const first = await stage.open(dataDir);
  await query(first.connection, "CREATE TABLE kept AS SELECT 42 AS answer");
  // Root's Postgres runs as another user, who cannot enter: there the cluster is elsewhere and this is a link to it.
  expect((await lstat(join(dataDir, "postgres"))).isSymbolicLink()).toBe(isRoot);
  await first.close();
  const second = await stage.open(dataDir);
  expect(await query(second.connection, "SELECT answer FROM kept")).toEqual([[42]]);
});

test("what a dead attempt left is removed, also where it lay elsewhere", async () => {
  const dataDir = await stage.dataDir();
  await mkdir(join(dataDir, "postgres.new-dead/data"), { recursive: true });
  const elsewhere = join(await stage.systemDir(), "dead");
  await mkdir(elsewhere);
  Bun.spawnSync(["ln", "-s", elsewhere, join(dataDir, "postgres.new-linked")]);
  await stage.open(dataDir);
  expect(await traces(dataDir)).toEqual(["postgres"]);
  expect(existsSync(elsewhere)).toBe(false);
});

test("a process killed while it makes the cluster leaves nothing in the way of the next", async () => {
  const dataDir = await stage.dataDir();
  const opening = stage.spawn(dataDir).catch(() => undefined);
  await waitFor("initdb at work", async () => (await traces(dataDir)).some((name) => name.includes(".new-")));
  await stage.killOpeners();
  await opening;
  const database = await stage.open(dataDir);
  expect(await answers(database.connection)).toBe(true);
  expect(await traces(dataDir)).toEqual(["postgres"]);
});

test("an unfinished cluster is gone before the next appears, also when its initdb removes it at the same time", async () => {
  const dataDir = await stage.dataDir();
  const home = join(dataDir, "postgres.new-0");
  await mkdir(home, { recursive: true });
  // As initdb does: makes the files, and removes them once one has vanished.
  const script = `
    mkdir data; mkdir $(seq -f data/%g 500); touch password $(seq -f data/%g/file 500)
    while [ -e password ] && [ -e data/1/file ] && [ -e data/250/file ] && [ -e data/500/file ]; do :; done
    rm -rf data`;
  const orphan = Bun.spawn(["sh", "-c", script], { cwd: home, stderr: "ignore" });
  await waitFor("the orphan's files", () => existsSync(join(home, "data/500/file")));
  const database = await stage.open(dataDir);
  expect(await traces(dataDir)).toEqual(["postgres"]);
  expect(await answers(database.connection)).toBe(true);
  await orphan.exited;
});

test("the cluster stays with the user that made it, whoever opens it", async () => {
  const dataDir = await stage.dataDir();
  await (await stage.open(dataDir)).close();
  const home = join(dataDir, "postgres");
  // Root runs the server as the cluster's owner, whichever user that is; others run it as themselves.
  const owner = isRoot ? 54_321 : (await stat(home)).uid;
  if (isRoot) expect(Bun.spawnSync(["chown", "-R", String(owner), home]).exitCode).toBe(0);
  else await chown(home, owner, (await stat(home)).gid);
  const database = await stage.open(dataDir);
  expect(await answers(database.connection)).toBe(true);
  expect((await stat(database.connection.path)).uid).toBe(owner);
});
