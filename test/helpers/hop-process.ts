// hop as a real process, with what tests ask of it.
import { afterAll } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "./wait-for.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The admin key of every hop that a test starts. */
export const ADMIN_KEY = "hop_test-key-test-key-test-key-test-key-123";

export interface HopProcess {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  /** Everything it printed so far. */
  output(): string;
  /** Sends the signal and waits until the process is gone; answers its exit code, null after a fatal signal. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
  /** An API call with the admin key. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** The value of a metric line such as `hop_redirects_total{outcome="redirected"}`; 0 when it is not there. */
  metric(line: string): Promise<number>;
}

export type HopEnvironment = Readonly<Record<string, string>>;

/** What is run: hop, unless a test has a broken one. */
const ENTRY = "src/main.ts";

/** Starts `hop serve` on free ports and waits until it is ready. It is killed when the test process ends. */
export async function startHop(env: HopEnvironment, entry = ENTRY): Promise<HopProcess> {
  const adminPort = await freePort();
  const defaults = {
    HOP_PORT: "0",
    HOP_ADMIN_PORT: String(adminPort),
    HOP_ADMIN_KEY: ADMIN_KEY,
    HOP_LOG_LEVEL: "warn",
  };
  const started = launch(["serve"], { ...defaults, ...env }, entry);
  const url = await waitFor(
    "hop to be ready",
    () => {
      if (started.child.exitCode !== null) throw new Error(`hop ended: ${started.output()}`);
      return /hop is ready at (\S+)/.exec(started.output())?.[1];
    },
    { timeoutMs: 30_000 },
  ).catch((error: unknown) => {
    started.child.kill("SIGKILL");
    throw new Error(`hop did not start: ${started.output()}`, { cause: error });
  });
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  return {
    url: url.replace("localhost", "127.0.0.1"),
    adminUrl,
    pid: started.child.pid ?? 0,
    output: started.output,
    kill: started.kill,
    api: (method, path, body, headers = {}) =>
      fetch(`${url.replace("localhost", "127.0.0.1")}${path}`, {
        method,
        redirect: "manual",
        headers: {
          Authorization: `Bearer ${ADMIN_KEY}`,
          ...(body !== undefined && { "Content-Type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    metric: (line) => metricOf(adminUrl, line),
  };
}

/** For who reads statistics right after a click: on a busy machine it may go by the spool, and they do not know it for a moment. */
export const NO_HURRY = { HOP_CLICKS_WAIT_MS: "5000" } as const;

export type WorkProcess = Pick<HopProcess, "adminUrl" | "pid" | "output" | "kill" | "metric">;

/** Starts `hop work` and waits until it is ready. It is killed when the test process ends. */
export async function startWork(env: HopEnvironment, entry = ENTRY): Promise<WorkProcess> {
  const adminPort = env["HOP_WORK_ADMIN_PORT"] ?? String(await freePort());
  const started = launch(["work"], { HOP_WORK_ADMIN_PORT: adminPort, HOP_LOG_LEVEL: "warn", ...env }, entry);
  await waitFor(
    "hop work to be ready",
    () => {
      if (started.child.exitCode !== null) throw new Error(`hop work ended: ${started.output()}`);
      return started.output().includes("hop work is ready");
    },
    { timeoutMs: 30_000 },
  ).catch((error: unknown) => {
    started.child.kill("SIGKILL");
    throw new Error(`hop work did not start: ${started.output()}`, { cause: error });
  });
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  return {
    adminUrl,
    pid: started.child.pid ?? 0,
    output: started.output,
    kill: started.kill,
    metric: (line) => metricOf(adminUrl, line),
  };
}

async function metricOf(adminUrl: string, line: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const found = text.split("\n").find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? 0 : Number(found.slice(line.length + 1));
}

/** Runs a command of hop to its end. */
export async function runHop(
  args: readonly string[],
  env: HopEnvironment,
): Promise<{ code: number | null; output: string }> {
  const started = launch(args, env);
  if (started.child.exitCode === null && started.child.signalCode === null) await once(started.child, "exit");
  return { code: started.child.exitCode, output: started.output() };
}

function launch(args: readonly string[], env: HopEnvironment, entry = ENTRY) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("HOP_"));
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: ROOT,
    env: { ...Object.fromEntries(inherited), HOP_DATA_DIR: dataDirFor(env), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      printed += text;
    });
  }
  const killNow = () => child.kill("SIGKILL");
  process.once("exit", killNow);
  child.once("exit", () => process.off("exit", killNow));
  return {
    child,
    output: () => printed,
    kill: async (signal: NodeJS.Signals) => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const gone = once(child, "exit");
      child.kill(signal);
      await gone;
      return child.exitCode;
    },
  };
}

const dataDirs = new Map<string, string>();

afterAll(() => {
  for (const directory of dataDirs.values()) rmSync(directory, { recursive: true, force: true });
});

/** One for each database, so that what one life of hop spooled is found by the next; gone when the file's tests are. */
function dataDirFor({ HOP_DATABASE_URL: database = "" }: HopEnvironment): string {
  const known = dataDirs.get(database);
  if (known !== undefined) return known;
  const directory = mkdtempSync(join(tmpdir(), "hop-data-"));
  dataDirs.set(database, directory);
  return directory;
}

/**
 * A port that nothing uses at the moment, below those that the kernel gives to listeners on port 0 and to clients: one of
 * them could take it before it is used.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return port;
  }
}
