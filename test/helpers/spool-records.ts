// Records that can be told apart, and a spool in a directory of its own with everything that it reports.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileSpool } from "../../src/storage/spool.ts";
import type { SpoolDamage } from "../../src/storage/spool/segment.ts";

/** A record that says its number, of 4 to 259 bytes. */
export function recordOf(number: number): Uint8Array {
  const record = Buffer.alloc(4 + (number % 256), number % 251);
  record.writeUInt32LE(number, 0);
  return record;
}

/** The number in the record. @throws when it is not whole */
export function numberOf(record: Uint8Array): number {
  const number = Buffer.from(record).readUInt32LE(0);
  if (!Buffer.from(record).equals(recordOf(number)))
    throw new Error(`record ${number} is not what was appended`);
  return number;
}

export class SpoolStage {
  readonly directory = join(mkdtempSync(join(tmpdir(), "hop-spool-")), "spool");
  readonly damage: SpoolDamage[] = [];
  readonly errors: unknown[] = [];
  readonly #opened: FileSpool[] = [];

  open(maxBytes = 1 << 24): FileSpool {
    const spool = new FileSpool({
      directory: this.directory,
      maxBytes,
      onDamage: (damage) => this.damage.push(damage),
      onError: (error) => this.errors.push(error),
    });
    this.#opened.push(spool);
    return spool;
  }

  /** Paths of the files in it whose name ends like this, in order. */
  files(suffix = ".seg"): string[] {
    const names = readdirSync(this.directory, { recursive: true }).map(String);
    return names
      .filter((name) => name.endsWith(suffix))
      .toSorted()
      .map((name) => join(this.directory, name));
  }

  /** Bytes of all segments. */
  get segmentBytes(): number {
    return this.files().reduce((sum, path) => sum + statSync(path).size, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const spool of this.#opened) await spool.close();
    rmSync(join(this.directory, ".."), { recursive: true, force: true });
  }
}

/** Reads and removes everything; the numbers of the records, in order. */
export async function drain(spool: FileSpool): Promise<number[]> {
  const numbers: number[] = [];
  for (let records = await spool.read(); records.length > 0; records = await spool.read()) {
    numbers.push(...records.map(({ payload }) => numberOf(payload)));
    await spool.remove(records);
  }
  return numbers;
}

/** 1, 2, 3 … */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
