// A program beside hop, in a directory of its own, for as long as a test needs it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { Account } from "../../src/storage/embedded/account.ts";
import { waitFor } from "./wait-for.ts";

export interface ProgramOptions {
  readonly command: readonly [string, ...string[]];
  /** Removed with the program. */
  readonly directory: string;
  /** Whose process it is, instead of ours. */
  readonly account?: Account | undefined;
  /** Asked again and again with what it has printed to stderr. */
  readonly isReady: (printed: string) => boolean | Promise<boolean>;
}

export interface Program extends AsyncDisposable {
  signal(signal: NodeJS.Signals): void;
}

/** It is ended when the test process ends. @throws Error with what it printed when it ends before it is ready */
export async function startProgram({
  command: [name, ...args],
  directory,
  account,
  isReady,
}: ProgramOptions): Promise<Program> {
  const child = spawn(name, args, {
    stdio: ["ignore", "ignore", "pipe"],
    ...(account && { uid: account.uid, gid: account.gid }),
  });
  let printed = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  // Not SIGKILL: nginx takes its own processes along.
  const endNow = () => child.kill("SIGTERM");
  process.once("exit", endNow);
  const program: Program = {
    signal: (signal) => void child.kill(signal),
    [Symbol.asyncDispose]: async () => {
      process.off("exit", endNow);
      const gone = once(child, "exit");
      endNow();
      if (!hasEnded()) await gone;
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await waitFor(`${name} to be ready`, () => {
      if (hasEnded()) throw new Error(`${name} ended: ${printed}`);
      return isReady(printed);
    });
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  return program;
}
