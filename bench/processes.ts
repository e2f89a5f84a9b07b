// What a process costs, read from /proc. Elsewhere than on Linux nothing is known, and the page says so.
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** USER_HZ, which Linux fixes at 100 for programs. */
const TICKS_PER_SECOND = 100;
const QUIET_SAMPLE_MS = 500;
/** Of all cores. */
const QUIET_SHARE = 0.05;

/** CPU time of these processes so far, in seconds; undefined when none of them can be known. */
export async function cpuSeconds(pids: readonly number[]): Promise<number | undefined> {
  return sumOfKnown(await Promise.all(pids.map(cpuSecondsOf)));
}

async function cpuSecondsOf(pid: number): Promise<number | undefined> {
  const stat = await read(`/proc/${pid}/stat`);
  // The name in parentheses may itself contain spaces.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined) return undefined;
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** CPU time so far of the Postgres of a data directory: of its processes that are alive, in seconds. */
export async function postgresCpuSeconds(dataDir: string): Promise<number | undefined> {
  const postmaster = await postmasterOf(dataDir);
  return postmaster === undefined ? undefined : cpuSeconds(await processesOf(postmaster, undefined));
}

/** A process and its descendants, without the Postgres of a data directory, which may be among them. */
export async function processesOf(pid: number, dataDir: string | undefined): Promise<readonly number[]> {
  const postmaster = dataDir === undefined ? undefined : await postmasterOf(dataDir);
  return withDescendants(pid, postmaster);
}

async function withDescendants(pid: number, except: number | undefined): Promise<readonly number[]> {
  const children = (await read(`/proc/${pid}/task/${pid}/children`))?.trim().split(" ") ?? [];
  const pids = children.map(Number).filter((child) => child > 0 && child !== except);
  return [pid, ...(await Promise.all(pids.map((child) => withDescendants(child, except)))).flat()];
}

async function postmasterOf(dataDir: string): Promise<number | undefined> {
  const pidFile = await read(join(dataDir, "postgres", "data", "postmaster.pid"));
  const pid = Number(pidFile?.split("\n")[0]);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

function sumOfKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0);
}

/** CPU time that this machine has spent on anything so far, in seconds, stolen time included. */
export async function machineCpuSeconds(): Promise<number | undefined> {
  const line = (await read("/proc/stat"))?.split("\n")[0];
  if (line === undefined) return undefined;
  // user nice system idle iowait irq softirq steal; guest time is part of user time.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .split(/ +/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Waits until this machine has next to nothing to do, but not for ever: what disturbs a run is measured with it. */
export async function waitForQuiet(patienceMs: number, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (performance.now() < deadlineMs) {
    signal.throwIfAborted();
    const before = await machineCpuSeconds();
    await Bun.sleep(QUIET_SAMPLE_MS);
    const after = await machineCpuSeconds();
    if (before === undefined || after === undefined) return;
    if ((after - before) * 1_000 <= QUIET_SHARE * QUIET_SAMPLE_MS * availableParallelism()) return;
  }
}

/** Memory that these processes have in RAM (VmRSS), in bytes; undefined when it cannot be known. */
export async function residentBytes(pids: readonly number[]): Promise<number | undefined> {
  return sumOfKnown(await Promise.all(pids.map((pid) => memoryOf(pid, "VmRSS"))));
}

/** The most memory that a process ever had in RAM (VmHWM), in bytes; undefined when it cannot be known. */
export async function peakResidentBytes(pid: number): Promise<number | undefined> {
  return memoryOf(pid, "VmHWM");
}

async function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): Promise<number | undefined> {
  const status = await read(`/proc/${pid}/status`);
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status ?? "")?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return undefined;
  }
}
