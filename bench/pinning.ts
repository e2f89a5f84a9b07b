// Which cores a process may run on, so that what is measured and what measures do not take each other's time.
import { readFile } from "node:fs/promises";
import { runChild } from "./child.ts";

const TOOL_TIMEOUT_MS = 10_000;

export interface Cores {
  /** For what is measured: the first of those that this process may use. */
  readonly measured: string;
  /** For what measures: the others. */
  readonly measuring: string;
}

/** Undefined where nothing can be pinned: no taskset (as on macOS), or a single core. */
export async function findCores(): Promise<Cores | undefined> {
  if (Bun.which("taskset") === null) return undefined;
  const status = await readFile("/proc/self/status", "utf8");
  return splitCores(/^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1] ?? "");
}

/** "0-2,5" → 0 and 1,2,5. */
export function splitCores(list: string): Cores | undefined {
  const cores = list.split(",").flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split("-").map(Number);
    return from <= to ? Array.from({ length: to - from + 1 }, (_, index) => from + index) : [];
  });
  const [measured, ...measuring] = cores;
  if (measured === undefined || measuring.length === 0) return undefined;
  return { measured: String(measured), measuring: measuring.join(",") };
}

/** Moves this process, all its threads, and what it starts from now on. @throws when the system refuses */
export async function pinMyself(cores: string, signal: AbortSignal): Promise<void> {
  const args = ["--all-tasks", "--cpu-list", "--pid", cores, String(process.pid)];
  const { code, output } = await runChild("taskset", args, { signal, timeoutMs: TOOL_TIMEOUT_MS });
  if (code !== 0) throw new Error(`taskset did not pin this process to ${cores}: ${output.trim()}`);
}
