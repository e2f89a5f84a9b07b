// Who owns which directory of the spool: a lock that dies with its process tells the living from the dead.
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { tryFileLock } from "../embedded/file-lock.ts";

/** A directory of the spool that nobody else reads or writes. */
export interface Claim {
  readonly directory: string;
  /** Lets others have it. */
  release(): void;
}

const LOCK = "lock";
const MAX_ATTEMPTS = 10;

/** Makes a directory of one's own in `spool`, which is made too. @throws what the disk says */
export async function claimNew(spool: string): Promise<Claim> {
  if ((await mkdir(spool, { recursive: true, mode: 0o700 })) !== undefined)
    await syncDirectory(dirname(spool));
  for (let attempt = 1; ; attempt++) {
    const directory = join(spool, randomUUID());
    await mkdir(directory, { mode: 0o700 });
    const claim = tryClaim(directory);
    if (claim !== undefined) {
      await syncDirectory(spool);
      return claim;
    }
    if (attempt === MAX_ATTEMPTS) throw new Error(`every new directory in ${spool} is taken away`);
  }
}

/** Takes what dead processes left in `spool`; nothing when there is no such directory. @throws what the disk says */
export async function claimDead(spool: string): Promise<Claim[]> {
  const entries = await readdir(spool, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => tryClaim(join(spool, entry.name)))
    .filter((claim) => claim !== undefined);
}

/** Removes the directory, which should hold nothing but its lock, and ends the claim. */
export async function discard(claim: Claim): Promise<void> {
  try {
    await rm(join(claim.directory, LOCK), { force: true });
    await rmdir(claim.directory);
  } catch (error) {
    // Whatever else somebody put there stays; so does what is gone already.
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(codeOf(error) ?? "")) throw error;
  } finally {
    claim.release();
  }
}

/** Makes names in a directory as durable as the files. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What `code` an error carries (`ENOENT`, `ENOSPC`), if it carries one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** Undefined when another has it, or had it and removed it just now. */
function tryClaim(directory: string): Claim | undefined {
  const path = join(directory, LOCK);
  let release: (() => void) | undefined;
  try {
    release = tryFileLock(path);
  } catch (error) {
    if (!existsSync(directory)) return undefined;
    throw error;
  }
  if (release === undefined) return undefined;
  // Between opening and locking, whoever held the lock may have removed the file.
  if (existsSync(path)) return { directory, release };
  release();
  return undefined;
}
