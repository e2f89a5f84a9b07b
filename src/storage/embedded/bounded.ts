// Everything the embedded database waits for outside this process, with a bound: promises, programs, pauses.
import { spawn } from "node:child_process";
import { setTimeout as timer } from "node:timers/promises";
import { errorMessage } from "../../lib/errors.ts";

/** Children get nothing of our environment: it holds secrets, and Postgres would read PG* from it. */
export const cleanEnvironment = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C", TZ: "UTC" };

/** What `code` an error carries (`ENOENT`, `57P03`, `SQLITE_BUSY`), if it carries one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** A reason not to start, for whoever runs hop: what is wrong, and how to mend it. */
export function refusal(what: string, mend: string, cause?: unknown): Error {
  const message = `HOP_DATA_DIR: ${what}; ${mend}, or set HOP_DATABASE_URL to a Postgres of your own`;
  return new Error(message, cause === undefined ? undefined : { cause });
}

/** Rejects after `timeoutMs`; the work itself goes on, so whoever calls this must also undo it. */
export async function within<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  const settled = new AbortController();
  const expiry = timer(timeoutMs, undefined, { signal: settled.signal }).then(() => {
    throw new Error(`${what} took longer than ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    settled.abort();
    expiry.catch(() => undefined);
  }
}

/** Waits; returns early, without an error, when the signal fires. */
export async function pause(waitMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  try {
    await timer(waitMs, undefined, signal ? { signal } : {});
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}

export interface RunOptions {
  /** Run as this user; only root may. */
  readonly account: { readonly uid: number; readonly gid: number } | undefined;
  readonly timeoutMs: number;
  readonly cwd?: string;
}

/** Runs a program to its end. `code` is undefined when it could not start, was killed, or took too long. */
export async function run(
  command: string,
  args: readonly string[],
  { account, timeoutMs, cwd = "/" }: RunOptions,
): Promise<{ code: number | undefined; output: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number | undefined; output: string }>();
  let output = "";
  try {
    const child = spawn(command, args, {
      cwd,
      env: cleanEnvironment,
      stdio: ["ignore", "pipe", "pipe"],
      ...(account && { uid: account.uid, gid: account.gid }),
    });
    const expiry = setTimeout(() => {
      child.kill("SIGKILL");
      resolve({ code: undefined, output: `${output}\n${command} took longer than ${timeoutMs} ms` });
    }, timeoutMs);
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-8192);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", (error) => resolve({ code: undefined, output: error.message }));
    child.on("close", (code) => resolve({ code: code ?? undefined, output: output.trim() }));
    return await promise.finally(() => clearTimeout(expiry));
  } catch (error) {
    // Bun reports a program that is missing or not executable by throwing.
    return { code: undefined, output: errorMessage(error) };
  }
}
