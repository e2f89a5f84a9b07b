// Finds the data directory of the embedded database, or makes one so that it appears whole or not at all.
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  access,
  chown,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { canEnter, chooseAccount, makeSystemDir, ownUid, type Account } from "./account.ts";
import { reachableBinaries, type Binaries } from "./binaries.ts";
import { errorMessage } from "../../lib/errors.ts";
import { errorCode, pause, refusal, run } from "./bounded.ts";

/** One Postgres data directory and what is needed to run and to enter it. */
export interface Cluster {
  /** Holds data/, password, server.log and usually socket/; symlinks resolved. */
  readonly home: string;
  readonly data: string;
  readonly password: string;
  readonly account: Account | undefined;
  readonly binaries: Binaries;
}

export interface ClusterPlace {
  /** `<dataDir>/postgres` is the cluster, or a symlink to it in `systemDir`. */
  readonly dataDir: string;
  /** Where root puts what the user that runs Postgres could not reach in its place. */
  readonly systemDir: string;
}

/** The only role: a superuser whose password is in a file next to the data. */
export const ROLE = "hop";
const INITDB_MS = 60_000;
const REMOVALS = 50;
const BETWEEN_REMOVALS_MS = 20;

/** Makes the data directory if there is none; throws a refusal unless hop can write in it. */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    // For root passable, so that the user that runs Postgres can reach its part; that part is 0700.
    await mkdir(dataDir, { recursive: true, mode: ownUid() === 0 ? 0o711 : 0o700 });
    await access(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw refusal(
      `cannot write to ${dataDir} (${errorMessage(error)})`,
      "make it a directory that the user running hop can write to, choose another one",
      error,
    );
  }
}

/** The cluster of this data directory, made if there is none. The caller holds the data directory's lock. */
export async function openCluster(place: ClusterPlace, binaries: Binaries): Promise<Cluster> {
  const link = join(place.dataDir, "postgres");
  await removeUnfinished(place);
  if (!(await lstat(link).catch(absent))) await createCluster(place, link, binaries);
  return inspectCluster(place, link, binaries);
}

async function inspectCluster(place: ClusterPlace, link: string, binaries: Binaries): Promise<Cluster> {
  try {
    const home = await realpath(link);
    const data = join(home, "data");
    const owner = await stat(home);
    if (ownUid() !== 0 && owner.uid !== ownUid()) {
      throw refusal(
        `the database in ${link} belongs to user id ${owner.uid}, not to the user running hop (${ownUid()})`,
        "run hop as that user or as root, choose another directory",
      );
    }
    const major = (await readFile(join(data, "PG_VERSION"), "utf8")).trim();
    if (major !== binaries.major) {
      throw refusal(
        `${data} was made by Postgres ${major}, and this hop brings Postgres ${binaries.major}`,
        `start the hop version that made it to export your data, then choose an empty directory`,
      );
    }
    if (owner.uid === 0) {
      throw refusal(`${link} belongs to root, and Postgres does not run as root`, "chown it to another user");
    }
    const account = ownUid() === 0 ? { name: `id ${owner.uid}`, uid: owner.uid, gid: owner.gid } : undefined;
    if (account && !(await canEnter(account, data))) {
      throw refusal(
        `the user that owns the database (${account.name}) can no longer reach ${data}`,
        "give the directories above it the x permission again",
      );
    }
    const password = (await readFile(join(home, "password"), "utf8")).trim();
    const reachable = await reachableBinaries(binaries, account, place.systemDir);
    return { home, data, password, account, binaries: reachable };
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined || !["ENOENT", "ENOTDIR", "EACCES", "ELOOP"].includes(code)) throw error;
    throw refusal(
      `${link} is not a complete database of hop that this user can read (${errorMessage(error)})`,
      "move it away or restore it, choose another directory",
      error,
    );
  }
}

/** Builds under a name that marks it unfinished; the rename at the end is the moment the cluster exists. */
async function createCluster(place: ClusterPlace, link: string, binaries: Binaries): Promise<void> {
  const account = await chooseAccount();
  const runnable = await reachableBinaries(binaries, account, place.systemDir);
  const id = randomBytes(8).toString("hex");
  const unfinished = `${link}.new-${id}`;
  try {
    if (account && !(await canEnter(account, place.dataDir))) {
      await makeSystemDir(place.systemDir);
      // The link first: it is how a later process finds what this one left if it dies here.
      await symlink(join(place.systemDir, id), unfinished);
      await mkdir(join(place.systemDir, id), { mode: 0o700 });
    } else {
      await mkdir(unfinished, { mode: 0o700 });
    }
    const home = await realpath(unfinished);
    if (account) await chown(home, account.uid, account.gid);
    await fill(home, account, runnable);
    await rename(unfinished, link);
    await Promise.all([syncDirectory(place.dataDir), syncDirectory(dirname(home))]);
  } catch (error) {
    await removeUnfinished(place);
    throw error;
  }
}

async function fill(home: string, account: Account | undefined, binaries: Binaries): Promise<void> {
  const passwordFile = join(home, "password");
  const handle = await open(passwordFile, "wx", 0o600);
  try {
    await handle.writeFile(`${randomBytes(24).toString("base64url")}\n`);
    await handle.sync();
    if (account) await handle.chown(account.uid, account.gid);
  } finally {
    await handle.close();
  }
  const { code, output } = await run(
    binaries.initdb,
    [
      // Relative: an initdb that outlives us cannot make the directory again after the next process removed it.
      "--pgdata=data",
      `--username=${ROLE}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      // The same order and case rules on every system, and the fast ones: no libc or ICU version can change an index.
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-instructions",
    ],
    { account, timeoutMs: INITDB_MS, cwd: home },
  );
  if (code !== 0) {
    const reason = output.split("\n").findLast((line) => line.includes("error:")) ?? output;
    throw refusal(`initdb could not make a database in ${home}: ${reason}`, "mend that");
  }
  await syncDirectory(home);
}

/** Removes what dead processes left. The caller holds the lock, so nobody is building here now. */
async function removeUnfinished({ dataDir, systemDir }: ClusterPlace): Promise<void> {
  for (const entry of await readdir(dataDir)) {
    if (!entry.startsWith("postgres.new-")) continue;
    const path = join(dataDir, entry);
    const target = (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
    if (target !== undefined && dirname(target) === systemDir) await removeTree(target);
    await removeTree(path);
  }
}

/**
 * Removes the tree and looks whether it is gone: an initdb whose parent was killed may still write in it, or, once
 * its files vanish, remove them itself. What `rm` finds missing meanwhile it takes for the end of its work, and
 * leaves the rest without an error (Bun 1.4: in 7 of 120 kills on a busy machine).
 */
async function removeTree(path: string): Promise<void> {
  for (let attempt = 1; attempt <= REMOVALS; attempt += 1) {
    try {
      await rm(path, { recursive: true, force: true });
      if (!(await lstat(path).catch(absent))) return;
    } catch (error) {
      if (errorCode(error) !== "ENOTEMPTY") throw error;
    }
    await pause(BETWEEN_REMOVALS_MS);
  }
  throw refusal(
    `${path}, left by a start that was killed, is still being written to`,
    "end the initdb that runs in it",
  );
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function absent(error: unknown): undefined {
  if (errorCode(error) !== "ENOENT") throw error;
}
