// One file of the spool: "HOPSPL01", then records, each its length and CRC-32 (u32, little-endian) and its payload.
import { constants } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { Claim } from "./owner.ts";

const MAGIC = Buffer.from("HOPSPL01");
/** Length and CRC-32 of a record. */
export const FRAME_BYTES = 8;
/** Read at once, unless one record is longer. */
const CHUNK_BYTES = 256 * 1_024;

/** A file of records and how far it was shipped. */
export interface Segment {
  readonly path: string;
  /** Whose directory it is in. */
  readonly claim: Claim;
  /** Bytes that are synced. */
  length: number;
  /** Where the oldest record begins that was not shipped; 0 before the file was looked at. */
  head: number;
}

/** A record as it was read, and where the next one begins. */
export interface ReadRecord {
  readonly payload: Uint8Array;
  readonly segment: Segment;
  readonly start: number;
  readonly end: number;
}

/** `foreign` is a file that no spool began. */
export type SpoolDamageReason = "torn" | "checksum" | "foreign" | "unreadable";

/** Bytes that hold no record any more. A process that is killed while it writes leaves a torn one: nobody was promised that. */
export interface SpoolDamage {
  readonly path: string;
  /** Records at least; what follows an unreadable length cannot be counted. */
  readonly records: number;
  readonly bytes: number;
  readonly reason: SpoolDamageReason;
}

/** Appends to a new file. */
export class SegmentWriter {
  readonly segment: Segment;
  readonly #file: FileHandle;

  private constructor(segment: Segment, file: FileHandle) {
    this.segment = segment;
    this.#file = file;
  }

  /** @throws what the disk says */
  static async create(path: string, claim: Claim): Promise<SegmentWriter> {
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    const writer = new SegmentWriter({ path, claim, length: 0, head: 0 }, file);
    try {
      await writer.#write(MAGIC);
    } catch (error) {
      await file.close();
      await unlink(path).catch(() => undefined);
      throw error;
    }
    writer.segment.head = MAGIC.length;
    return writer;
  }

  /** All or none: the records are on the disk when it resolves. @throws what the disk says; then this writer is spent */
  async append(payloads: readonly Uint8Array[]): Promise<void> {
    await this.#write(Buffer.concat(payloads.flatMap((payload) => [frameOf(payload), payload])));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const start = this.segment.length;
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, start + done);
        done += bytesWritten;
      }
      await this.#file.datasync();
    } catch (error) {
      // Best effort: what stays is read again only if this process dies, and sending it twice is harmless.
      await this.#file.truncate(start).catch(() => undefined);
      throw error;
    }
    this.segment.length = start + bytes.length;
  }
}

/**
 * The oldest records of a segment, about 256 KiB of them or one that is larger. Damage at the head is reported, once, and
 * skipped; empty when nothing is left.
 */
export async function readSegment(
  segment: Segment,
  onDamage: (damage: SpoolDamage) => void,
): Promise<ReadRecord[]> {
  let file: FileHandle;
  try {
    file = await open(segment.path, "r");
  } catch {
    skip(segment, segment.length, 1, "unreadable", onDamage);
    return [];
  }
  try {
    while (segment.head < segment.length) {
      const records = await readChunk(file, segment, onDamage);
      if (records.length > 0) return records;
    }
  } catch {
    // A bad sector must not hold up what is behind it.
    skip(segment, segment.length, 1, "unreadable", onDamage);
  } finally {
    await file.close();
  }
  return [];
}

async function readChunk(
  file: FileHandle,
  segment: Segment,
  onDamage: (damage: SpoolDamage) => void,
): Promise<ReadRecord[]> {
  if (segment.head === 0) {
    const magic = await readBytes(file, 0, Math.min(MAGIC.length, segment.length));
    if (!MAGIC.equals(magic)) {
      // A process that dies while it makes the file leaves less than the magic, and no records.
      const torn = MAGIC.subarray(0, magic.length).equals(magic);
      skip(segment, segment.length, torn ? 0 : 1, torn ? "torn" : "foreign", onDamage);
      return [];
    }
    segment.head = MAGIC.length;
    if (segment.head === segment.length) return [];
  }
  const base = segment.head;
  const left = segment.length - base;
  let chunk = await readBytes(file, base, Math.min(left, CHUNK_BYTES));
  const first = chunk.length < FRAME_BYTES ? 0 : FRAME_BYTES + chunk.readUInt32LE(0);
  if (first > chunk.length && first <= left) chunk = await readBytes(file, base, first);

  const records: ReadRecord[] = [];
  for (let at = 0; at < chunk.length;) {
    const size = at + FRAME_BYTES > chunk.length ? Infinity : FRAME_BYTES + chunk.readUInt32LE(at);
    if (at + size > chunk.length) {
      // The next chunk begins with it; if it is at the head it is not whole in the file either.
      if (at === 0) skip(segment, segment.length, 1, "torn", onDamage);
      break;
    }
    const payload = chunk.subarray(at + FRAME_BYTES, at + size);
    if (checksum(chunk.subarray(at, at + 4), payload) !== chunk.readUInt32LE(at + 4)) {
      if (at === 0) skip(segment, base + size, 1, "checksum", onDamage);
      break;
    }
    records.push({ payload, segment, start: base + at, end: base + at + size });
    at += size;
  }
  return records;
}

async function readBytes(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error("the file is shorter than it was");
    done += bytesRead;
  }
  return bytes;
}

function skip(
  segment: Segment,
  to: number,
  records: number,
  reason: SpoolDamage["reason"],
  onDamage: (damage: SpoolDamage) => void,
): void {
  const bytes = to - segment.head;
  segment.head = to;
  onDamage({ path: segment.path, records, bytes, reason });
}

function frameOf(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_BYTES);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt32LE(checksum(frame.subarray(0, 4), payload), 4);
  return frame;
}

/** Of the length too, so that zeros, which a crash may leave, are no record. */
function checksum(length: Uint8Array, payload: Uint8Array): number {
  return crc32(payload, crc32(length));
}
