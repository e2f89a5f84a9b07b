// Processes that the benchmark starts: what they print, how they end, and that none outlives it.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createServer } from "node:net";
import type { Readable } from "node:stream";

export interface Child {
  readonly pid: number;
  /** Both of its outputs so far. */
  output(): string;
  /** Its exit code; null after a fatal signal. Never rejects. */
  readonly ended: Promise<number | null>;
  /** SIGTERM, then SIGKILL. Resolves when it is gone; harmless to repeat. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Stops the child when it fires. */
  readonly signal: AbortSignal;
}

/** hop may take 10 s for its requests, 10 s for its clicks, and then stops Postgres. */
const STOP_TIMEOUT_MS = 40_000;

export function startChild(command: string, args: readonly string[], options: ChildOptions): Child {
  options.signal.throwIfAborted();
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("HOP_"));
  const child = spawn(command, args, {
    // A group of its own: Ctrl-C reaches the benchmark alone, which then stops its children in order.
    detached: true,
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      printed += text;
    });
  }
  const ended = endOf(child, (message) => {
    printed += message;
  });
  let asked = false;
  const terminate = () => {
    // A second SIGTERM would tell hop to leave at once, without its Postgres.
    if (!asked) child.kill("SIGTERM");
    asked = true;
  };
  // SIGTERM even if the benchmark dies of an error: hop goes on alone and stops its Postgres.
  process.once("exit", terminate);
  options.signal.addEventListener("abort", terminate);
  void ended.finally(() => {
    process.off("exit", terminate);
    options.signal.removeEventListener("abort", terminate);
  });
  return {
    pid: child.pid ?? 0,
    output: () => printed,
    ended,
    async stop() {
      terminate();
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

function endOf(
  child: ChildProcessByStdio<null, Readable, Readable>,
  report: (message: string) => void,
): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once("close", (code) => resolve(code));
  child.once("error", (error) => {
    report(error.message);
    resolve(null);
  });
  return promise;
}

/** Runs a command to its end. @throws when it takes longer than it may. */
export async function runChild(
  command: string,
  args: readonly string[],
  options: ChildOptions & { readonly timeoutMs: number },
): Promise<{ code: number | null; output: string }> {
  const child = startChild(command, args, options);
  const overdue = Promise.withResolvers<"overdue">();
  const timer = setTimeout(() => overdue.resolve("overdue"), options.timeoutMs);
  const outcome = await Promise.race([child.ended, overdue.promise]);
  clearTimeout(timer);
  await child.stop();
  options.signal.throwIfAborted();
  if (outcome === "overdue") throw new Error(`${command} took longer than ${options.timeoutMs} ms`);
  return { code: outcome, output: child.output() };
}

/** Polls until `ask` answers something. @throws after the deadline, or as soon as the child has ended. */
export async function waitFor<T>(
  what: string,
  child: Child,
  ask: () => T | undefined | Promise<T | undefined>,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<T> {
  const deadlineMs = performance.now() + options.timeoutMs;
  let gone = false;
  void child.ended.finally(() => {
    gone = true;
  });
  for (;;) {
    options.signal.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (gone) throw new Error(`${what}: the process ended: ${child.output().trim()}`);
    if (performance.now() > deadlineMs)
      throw new Error(`${what}: not within ${options.timeoutMs} ms: ${child.output().trim()}`);
    await Bun.sleep(5);
  }
}

/** A port that nothing uses at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}
