// Which system user runs Postgres, which refuses to run as root, and what that user can reach.
import { mkdir, chmod } from "node:fs/promises";
import { refusal, run } from "./bounded.ts";

/** A system user to run programs as; undefined wherever it is used means the user hop itself runs as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const LOOKUP_MS = 5000;

/** The user hop runs as; 0 is root. */
export function ownUid(): number {
  return process.geteuid?.() ?? -1;
}

/** The user for a new cluster: ours, or for root the first of `postgres` and `nobody` that the system has. */
export async function chooseAccount(): Promise<Account | undefined> {
  if (ownUid() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const [uid, gid] = await Promise.all([findId("-u", name), findId("-g", name)]);
    if (uid !== undefined && gid !== undefined && uid !== 0) return { name, uid, gid };
  }
  throw refusal(
    "Postgres does not run as root, and there is no user `postgres` or `nobody` to run it as",
    "create one, run hop as an ordinary user",
  );
}

async function findId(flag: "-u" | "-g", name: string): Promise<number | undefined> {
  const { code, output } = await run("id", [flag, name], { account: undefined, timeoutMs: LOOKUP_MS });
  // macOS prints nobody as -2; the kernel takes it as unsigned.
  return code === 0 && /^-?\d+$/.test(output) ? Number(output) >>> 0 : undefined;
}

/** Whether the account may pass through this directory and all above it. Asks the kernel instead of reading modes. */
export async function canEnter(account: Account | undefined, directory: string): Promise<boolean> {
  const { code } = await run("/bin/sh", ["-c", 'test -x "$1"', "sh", directory], {
    account,
    timeoutMs: LOOKUP_MS,
  });
  return code === 0;
}

/** Makes root's own place for what the account must reach but cannot reach in the data directory. */
export async function makeSystemDir(systemDir: string): Promise<void> {
  try {
    await mkdir(systemDir, { recursive: true });
    // Passable, whatever the umask; what is inside protects itself.
    await chmod(systemDir, 0o711);
  } catch (error) {
    throw refusal(
      `the user that runs Postgres needs ${systemDir}, which cannot be made`,
      "make it possible, run hop as an ordinary user",
      error,
    );
  }
}
