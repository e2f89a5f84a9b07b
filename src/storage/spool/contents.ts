// What is in the spool of this machine, for the ledger: only looks, while the processes that own it go on writing.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeBatch } from "../../clicks/batch-decoder.ts";
import { BatchFormatError } from "../../clicks/batch-format.ts";
import type { Transit, TransitBatch, TransitState } from "../../clicks/transit.ts";
import { codeOf } from "./owner.ts";
import { readSegment, type Segment } from "./segment.ts";

/**
 * Batches of all processes, dead or alive, at most `limit`. A segment is deleted only when all of it was delivered, so some are
 * stored already. What is torn or damaged is left out: nobody was promised the one, and the other is lost.
 * @param directory as for FileSpool; nothing is in one that is not there
 * @throws what the disk says, as when this user may not look
 */
export async function batchesInSpool(directory: string, limit: number): Promise<Transit> {
  const batches: TransitBatch[] = [];
  for (const path of await filesIn(directory)) {
    const state = path.endsWith(".bad") ? "dead" : "spooled";
    for await (const payload of state === "dead" ? wholeFile(path) : recordsOf(path)) {
      const batch = describe(payload, state);
      if (batch !== undefined) batches.push(batch);
      if (batches.length > limit) return { batches: batches.slice(0, limit), complete: false, readers: [] };
    }
  }
  return { batches, complete: true, readers: [] };
}

async function filesIn(directory: string): Promise<string[]> {
  const found = await orNothing(() => readdir(directory, { withFileTypes: true }), []);
  const files: string[] = [];
  for (const entry of found) {
    const path = join(directory, entry.name);
    if (entry.isFile() && entry.name.endsWith(".bad")) files.push(path);
    if (!entry.isDirectory()) continue;
    const names = await orNothing(() => readdir(path), []);
    files.push(...names.filter((name) => name.endsWith(".seg")).map((name) => join(path, name)));
  }
  return files;
}

async function* recordsOf(path: string): AsyncGenerator<Uint8Array> {
  const length = await orNothing(async () => (await stat(path)).size, 0);
  // The lock that a claim stands for is not taken: a process that looks for dead ones must not find this one in its way.
  const claim = { directory: path, release: () => undefined };
  const segment: Segment = { path, claim, length, head: 0 };
  for (let records = await readSegment(segment, ignore); records.length > 0;) {
    for (const { payload, end } of records) {
      yield payload;
      segment.head = end;
    }
    records = await readSegment(segment, ignore);
  }
}

function ignore(): void {
  // The process that delivers the spool reports damage.
}

async function* wholeFile(path: string): AsyncGenerator<Uint8Array> {
  const bytes = await orNothing(() => readFile(path), undefined);
  if (bytes !== undefined) yield bytes;
}

function describe(payload: Uint8Array, state: TransitState): TransitBatch | undefined {
  try {
    const { producer, seq, clicks } = decodeBatch(payload);
    return { producer: producer.id, seq, clicks: clicks.length, state };
  } catch (error) {
    if (!(error instanceof BatchFormatError)) throw error;
    return undefined;
  }
}

/** A file or directory that is gone by now was delivered. */
async function orNothing<T, N>(look: () => Promise<T>, nothing: N): Promise<T | N> {
  try {
    return await look();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return nothing;
    throw error;
  }
}
