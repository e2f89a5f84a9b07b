// A durable queue on the local disk, for what cannot be delivered now: docs/decisions/0007-spool.md.
import { readdir, stat, unlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ClickSpool, SpoolOutcome } from "../clicks/ports.ts";
import { type Claim, claimDead, claimNew, codeOf, discard, syncDirectory } from "./spool/owner.ts";
import {
  FRAME_BYTES,
  type ReadRecord,
  readSegment,
  type Segment,
  SegmentWriter,
  type SpoolDamage,
} from "./spool/segment.ts";

export interface SpoolOptions {
  /** Shared by all processes of the machine, each of which has a directory of its own in it; made when it is needed. */
  readonly directory: string;
  /** What this process's files may take together, with those that it adopted. */
  readonly maxBytes: number;
  /** Bytes that hold no record any more were skipped. */
  readonly onDamage: (damage: SpoolDamage) => void;
  /** The disk refused something; for an append, the answer says so too. */
  readonly onError: (error: unknown) => void;
}

/** A segment is closed when it is longer, or than an eighth of the spool: disk space comes back in such steps. */
const SEGMENT_BYTES = 8 * 1_024 * 1_024;
const SUFFIX = ".seg";

interface Pending {
  readonly record: Uint8Array;
  readonly done: (outcome: SpoolOutcome) => void;
}

/**
 * What was appended survives `kill -9` and, once fdatasync has returned, a power cut; it is read oldest first and may be
 * read again after a crash. One reader at a time.
 */
export class FileSpool implements ClickSpool<ReadRecord> {
  readonly #options: SpoolOptions;
  /** Oldest first. */
  #segments: Segment[] = [];
  #writer: SegmentWriter | undefined;
  #own: Claim | undefined;
  #segmentsMade = 0;
  #pending: Pending[] = [];
  /** Frames and records that wait for the disk or are on their way to it. */
  #pendingBytes = 0;
  #flushing: Promise<void> | undefined;
  #setAsideBytes = 0;
  #closed = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  get waitingBytes(): number {
    return this.#pendingBytes + this.#segments.reduce((sum, { length, head }) => sum + length - head, 0);
  }

  get bytes(): number {
    return this.#pendingBytes + this.#segments.reduce((sum, segment) => sum + segment.length, 0);
  }

  hasRoom(bytes: number): boolean {
    return !this.#closed && this.bytes + FRAME_BYTES + bytes <= this.#options.maxBytes;
  }

  append(record: Uint8Array): Promise<SpoolOutcome> {
    if (this.#closed) return Promise.resolve("spool_failed");
    if (!this.hasRoom(record.length)) return Promise.resolve("spool_full");
    const { promise, resolve } = Promise.withResolvers<SpoolOutcome>();
    this.#pending.push({ record, done: resolve });
    this.#pendingBytes += FRAME_BYTES + record.length;
    this.#flushing ??= this.#flush();
    return promise;
  }

  async read(): Promise<readonly ReadRecord[]> {
    for (const segment of this.#segments) {
      if (segment.head >= segment.length) continue;
      const records = await readSegment(segment, this.#options.onDamage);
      if (records.length > 0) return records;
    }
    await this.#deleteShipped();
    return [];
  }

  async remove(records: readonly ReadRecord[]): Promise<void> {
    for (const { segment, end } of records) segment.head = Math.max(segment.head, end);
    await this.#deleteShipped();
  }

  async setAside(record: ReadRecord): Promise<void> {
    const { segment, start, payload } = record;
    if (this.#setAsideBytes + payload.length <= this.#options.maxBytes) {
      const owner = basename(segment.claim.directory);
      const path = join(this.#options.directory, `${owner}-${basename(segment.path, SUFFIX)}-${start}.bad`);
      this.#setAsideBytes += payload.length;
      // Nor may a disk that refuses the copy let this record hold up the others.
      await writeFile(path, payload, { mode: 0o600, flush: true }).catch(this.#options.onError);
    }
    await this.remove([record]);
  }

  async adopt(): Promise<void> {
    const found: { segments: Segment[]; sinceMs: number }[] = [];
    for (const claim of await claimDead(this.#options.directory)) {
      try {
        const segments = await segmentsOf(claim);
        const [oldest] = segments;
        if (oldest === undefined) await discard(claim);
        else found.push({ segments, sinceMs: (await stat(oldest.path)).mtimeMs });
      } catch (error) {
        // One directory that cannot be read must not keep the others from being shipped.
        claim.release();
        this.#options.onError(error);
      }
    }
    found.sort((one, other) => one.sinceMs - other.sinceMs);
    this.#segments = [...found.flatMap(({ segments }) => segments), ...this.#segments];
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#flushing;
    await this.#retireWriter();
    await this.#deleteShipped();
    for (const claim of new Set(this.#segments.map((segment) => segment.claim))) claim.release();
    if (this.#own !== undefined && !this.#segments.some(({ claim }) => claim === this.#own))
      await discard(this.#own);
    this.#segments = [];
  }

  /** Group commit: what arrives during one sync shares the next. */
  async #flush(): Promise<void> {
    // Everything that is appended in this turn of the event loop shares the first sync.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const group = this.#pending;
      this.#pending = [];
      const outcome = await this.#commit(group.map(({ record }) => record));
      for (const { record, done } of group) {
        this.#pendingBytes -= FRAME_BYTES + record.length;
        done(outcome);
      }
    }
    this.#flushing = undefined;
  }

  async #commit(records: readonly Uint8Array[]): Promise<SpoolOutcome> {
    try {
      const limit = Math.min(SEGMENT_BYTES, this.#options.maxBytes / 8);
      if (this.#writer !== undefined && this.#writer.segment.length > limit) await this.#retireWriter();
      await (this.#writer ?? (await this.#startSegment())).append(records);
      return "spooled";
    } catch (error) {
      // Whatever the disk said: after a failed sync it is not known what a file holds, so the next append begins another.
      this.#options.onError(error);
      await this.#retireWriter().catch(this.#options.onError);
      if (codeOf(error) === "ENOENT") this.#loseDirectory();
      // Else a disk that stays full would collect an empty segment with every attempt.
      await this.#deleteShipped().catch(this.#options.onError);
      return "spool_failed";
    }
  }

  async #startSegment(): Promise<SegmentWriter> {
    this.#own ??= await claimNew(this.#options.directory);
    const name = String(++this.#segmentsMade).padStart(8, "0");
    const writer = await SegmentWriter.create(join(this.#own.directory, name + SUFFIX), this.#own);
    this.#writer = writer;
    this.#segments.push(writer.segment);
    await syncDirectory(this.#own.directory);
    return writer;
  }

  /** Somebody deleted it; the next append makes another. */
  #loseDirectory(): void {
    this.#own?.release();
    this.#own = undefined;
  }

  async #retireWriter(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close();
  }

  /** A name that comes back after a power cut is shipped again, which is harmless: so there is no sync here. */
  async #deleteShipped(): Promise<void> {
    if (this.#flushing === undefined && this.#writer !== undefined && isShipped(this.#writer.segment))
      await this.#retireWriter();
    const shipped = this.#segments.filter(
      (segment) => isShipped(segment) && segment !== this.#writer?.segment,
    );
    this.#segments = this.#segments.filter((segment) => !shipped.includes(segment));
    for (const { path } of shipped) {
      await unlink(path).catch((error: unknown) => {
        if (codeOf(error) !== "ENOENT") this.#options.onError(error);
      });
    }
    for (const claim of new Set(shipped.map((segment) => segment.claim))) {
      if (claim !== this.#own && !this.#segments.some((segment) => segment.claim === claim))
        await discard(claim);
    }
  }
}

function isShipped(segment: Segment): boolean {
  return segment.head >= segment.length;
}

/** In the order of writing. */
async function segmentsOf(claim: Claim): Promise<Segment[]> {
  const names = (await readdir(claim.directory)).filter((name) => name.endsWith(SUFFIX)).toSorted();
  return await Promise.all(
    names.map(async (name) => {
      const path = join(claim.directory, name);
      return { path, claim, length: (await stat(path)).size, head: 0 };
    }),
  );
}
