// Can HOP_DATA_DIR take clicks while the database is away: writable, large enough, a real disk, and how fast is a sync?
import { access, constants, mkdtemp, open, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config } from "../config.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

const SYNCS = 16;
/** A redirect waits for one sync while the database is away. */
const SLOW_SYNC_MS = 20;
const MEBIBYTE = 2 ** 20;
/** The number that Linux gives to tmpfs, which is memory. */
const TMPFS = 0x01021994;

type DiskConfig = Pick<Config, "dataDir" | "spoolBytes" | "workers">;

export async function examineDisk({ dataDir, spoolBytes, workers }: DiskConfig): Promise<readonly Finding[]> {
  const name = "data directory";
  const place = await nearestExisting(dataDir);
  const mend = `make ${dataDir} a directory that the user running hop can write to, or set HOP_DATA_DIR`;
  try {
    if (!(await stat(place)).isDirectory()) return [fail(name, `${place} is not a directory`, mend)];
    await access(place, constants.W_OK | constants.X_OK);
    const syncMs = await measureSync(place);
    const { bavail, bsize, type } = await statfs(place);
    const says = place === dataDir ? `${dataDir} is writable` : `${dataDir} will be made`;
    return [
      type === TMPFS
        ? warn(
            name,
            `${dataDir} is in memory: spooled clicks end with the machine`,
            "set HOP_DATA_DIR to a disk",
          )
        : ok(name, says),
      judgeSpace(bavail * bsize, spoolBytes * workers),
      judgeSync(syncMs),
    ];
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return [fail(name, `${place} cannot be written to (${String(error.code)})`, mend)];
  }
}

export function judgeSpace(freeBytes: number, spoolBytes: number): Finding {
  const name = "disk space";
  const says = `${mebibytes(freeBytes)} free; the spool may take ${mebibytes(spoolBytes)}`;
  if (freeBytes >= spoolBytes) return ok(name, says);
  return warn(name, says, "free some, or lower HOP_SPOOL_BYTES (it counts for each process)");
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / MEBIBYTE)} MiB`;
}

export function judgeSync(syncMs: number): Finding {
  const name = "disk sync";
  const says = `${syncMs.toFixed(1)} ms for a write that survives a power cut`;
  if (syncMs <= SLOW_SYNC_MS) return ok(name, says);
  return warn(name, says, "use a faster disk: redirects wait for it while the database is away");
}

/** The directory itself, or the one in which it would be made. */
async function nearestExisting(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    const absent = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!absent || dirname(path) === path) return path;
    return nearestExisting(dirname(path));
  }
}

/** The median of some appends, in milliseconds. */
async function measureSync(directory: string): Promise<number> {
  const probe = await mkdtemp(join(directory, "doctor-"));
  try {
    const file = await open(join(probe, "probe"), "a", 0o600);
    try {
      const times: number[] = [];
      for (let count = 0; count < SYNCS; count++) {
        const startedAtMs = performance.now();
        await file.write("x".repeat(1_500));
        await file.datasync();
        times.push(performance.now() - startedAtMs);
      }
      return times.toSorted((a, b) => a - b)[SYNCS / 2] ?? 0;
    } finally {
      await file.close();
    }
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
