// Where the embedded database cannot work it says what to mend, and leaves what is there untouched.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasEmbeddedPostgres } from "../../src/storage/embedded.ts";
import { refusalOf, serverPid, Stage } from "../helpers/embedded-stage.ts";

setDefaultTimeout(60_000);

let stage = new Stage();

afterEach(async () => {
  await stage.clear();
  stage = new Stage();
});

test("a platform without Postgres is refused, and nothing is made", async () => {
  const dataDir = await stage.dataDir();
  const message = await refusalOf(stage.open(dataDir, { platform: "plan9-mips" }));
  expect(message).toStartWith("HOP_DATA_DIR: the embedded Postgres for plan9-mips is not installed");
  expect(message).toContain("or set HOP_DATABASE_URL");
  expect(existsSync(dataDir)).toBe(false);
});

test("a data directory that cannot be written is refused, and nothing is made", async () => {
  const dataDir = await stage.dataDir();
  await writeFile(dataDir, "a file");
  expect(hasEmbeddedPostgres(dataDir)).toBe(true);
  const inFile = await refusalOf(stage.open(join(dataDir, "below")));
  expect(inFile).toStartWith(`HOP_DATA_DIR: cannot write to ${join(dataDir, "below")}`);
  // Nobody, not even root, makes directories in /proc.
  const readOnly = process.platform === "linux" ? "/proc/hop" : "/dev/hop";
  expect(await refusalOf(stage.open(readOnly))).toStartWith(`HOP_DATA_DIR: cannot write to ${readOnly}`);
});

test("data of another major version is refused and untouched", async () => {
  const dataDir = await stage.dataDir();
  await (await stage.open(dataDir)).close();
  const file = join(dataDir, "postgres/data/PG_VERSION");
  await writeFile(file, "17\n");
  const message = await refusalOf(stage.open(dataDir));
  expect(message).toContain("was made by Postgres 17, and this hop brings Postgres 18");
  expect(await readFile(file, "utf8")).toBe("17\n");
  expect(await serverPid(dataDir)).toBeUndefined();
});

test("a directory that is not hop's is refused and untouched", async () => {
  const dataDir = await stage.dataDir();
  await mkdir(join(dataDir, "postgres"), { recursive: true });
  await writeFile(join(dataDir, "postgres/notes.txt"), "mine");
  expect(await refusalOf(stage.open(dataDir))).toContain("is not a complete database of hop");
  expect(await readdir(join(dataDir, "postgres"))).toEqual(["notes.txt"]);
});

test("a lost password is refused with the file to restore", async () => {
  const dataDir = await stage.dataDir();
  await (await stage.open(dataDir)).close();
  await writeFile(join(dataDir, "postgres/password"), "forgotten\n");
  const message = await refusalOf(stage.open(dataDir));
  expect(message).toContain("password authentication failed");
  expect(message).toContain("restore its password file");
});

test("a database that is no longer where its link points is missed, and no other is made in its place", async () => {
  const dataDir = await stage.dataDir();
  expect(hasEmbeddedPostgres(dataDir)).toBe(false);
  await mkdir(dataDir);
  await symlink(join(dataDir, "moved"), join(dataDir, "postgres"));
  expect(hasEmbeddedPostgres(dataDir)).toBe(true);
  expect(await refusalOf(stage.open(dataDir))).toContain("is not a complete database of hop");
  expect(await readlink(join(dataDir, "postgres"))).toBe(join(dataDir, "moved"));
});
