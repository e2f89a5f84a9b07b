// A lock between processes that the kernel drops when its holder dies, however it dies.
import { chmod } from "node:fs/promises";
import { Database } from "bun:sqlite";
import { errorMessage } from "../../lib/errors.ts";
import { errorCode, pause, refusal } from "./bounded.ts";

/**
 * Takes the lock on `path`, which is created empty and never removed; the result releases it. SQLite is here for its
 * portable fcntl locks. Nothing else in the process may open the file: closing it would drop the lock.
 */
export async function takeFileLock(
  path: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<() => void> {
  const file = openFile(path);
  const deadline = Date.now() + timeoutMs;
  try {
    while (!tryBegin(file)) {
      signal?.throwIfAborted();
      if (Date.now() > deadline) {
        throw new Error(`another hop process has held ${path} for more than ${timeoutMs} ms`);
      }
      // Random, so that contenders do not keep meeting in step.
      await pause(5 + Math.random() * 15, signal);
    }
    await chmod(path, 0o600);
  } catch (error) {
    file.close();
    throw error;
  }
  return () => file.close();
}

/**
 * Takes the lock at once or not at all. Two holders in one process exclude each other too: SQLite sees to that.
 * @returns what releases it; undefined when another holds it
 * @throws what SQLite says of a file that cannot be opened
 */
export function tryFileLock(path: string): (() => void) | undefined {
  const file = new Database(path, { create: true, readwrite: true });
  try {
    // Otherwise a journal lies beside it while it is held, and for good when the holder is killed.
    file.run("PRAGMA journal_mode = MEMORY");
    file.run("BEGIN EXCLUSIVE");
    return () => file.close();
  } catch (error) {
    file.close();
    if (errorCode(error) === "SQLITE_BUSY") return undefined;
    throw error;
  }
}

function openFile(path: string): Database {
  try {
    return new Database(path, { create: true, readwrite: true });
  } catch (error) {
    throw cannotLock(path, error);
  }
}

function cannotLock(path: string, error: unknown): Error {
  return refusal(
    `cannot lock ${path} (${errorMessage(error)})`,
    "run hop as the user that owns this file, choose another directory",
    error,
  );
}

function tryBegin(file: Database): boolean {
  try {
    file.run("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (errorCode(error) === "SQLITE_BUSY") return false;
    throw cannotLock(file.filename, error);
  }
}
