// One partition of the stream as a worker reads it: through the consumer group, so that any number of workers share it.
import type { KnownParts } from "../../clicks/batch-decoder.ts";
import type { ClickQueue, QueueEntry } from "../../clicks/ingest.ts";
import { withDeadline } from "../../lib/deadline.ts";
import { type RedisClient, repliesOf } from "./client.ts";
import { FORGET_SCRIPT, RESCUE_SCRIPT } from "./group-scripts.ts";
import { contentOf, deadKey, GROUP, streamKey } from "./stream-entries.ts";

export interface RedisStreamReaderOptions {
  /** For everything that does not wait. */
  readonly client: RedisClient;
  /** For waiting, and for nothing else: see `openBlockingRedis`. */
  readonly blocking: RedisClient;
  readonly partition: number;
  /** Of earlier entries, in whatever partition. */
  readonly known: KnownParts;
  /** Of this worker among the group; what it did not confirm is given to it again when it comes back. */
  readonly consumer: string;
  /** How long one read waits for entries. */
  readonly blockMs: number;
  readonly timeoutMs: number;
  /** Entries that nobody confirmed for this long are taken over. */
  readonly claimIdleMs: number;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Entries were taken over from another worker, or come again because the store refused them. */
  readonly onClaimed: (entries: number) => void;
  /** Entries were found that the group would never have given out; all are given out again. */
  readonly onRescued: () => void;
}

interface StreamEntry extends QueueEntry {
  readonly fields: readonly Buffer[];
}

type Row = readonly [id: Buffer, fields: readonly Buffer[] | null];

/** What one read should bring. Redis counts entries and not bytes, so the count follows the sizes that were seen. */
const READ_BYTES = 512 * 1_024;
const READ_COUNT_MAX = 64;
/** A worker that holds nothing is forgotten after so many idle bounds without a sign of life. */
const FORGET_AFTER = 20;
const REASON_LENGTH = 500;

export class RedisStreamReader implements ClickQueue {
  readonly #options: RedisStreamReaderOptions;
  readonly #key: string;
  /** How far we are with reading our own unconfirmed entries; undefined when all were read. */
  #ownAfter: string | undefined = "0";
  /** The largest entry of the last read that brought any; at the start, one of a whole read. */
  #entryBytes = READ_BYTES;
  #claimAfter = "0-0";
  #claimDueMs = 0;

  constructor(options: RedisStreamReaderOptions) {
    this.#options = options;
    this.#key = streamKey(options.partition);
  }

  async read(): Promise<readonly QueueEntry[]> {
    const { blocking, blockMs } = this.#options;
    return this.#inGroup(async () => {
      const own = await this.#readOwn();
      if (own.length > 0) return own;
      const claimed = await this.#claim();
      if (claimed.length > 0) return claimed;
      // One entry: it says how large others are, and as many as there are partitions wait here for their turn.
      return this.#present(await this.#readRows(blocking, ">", { count: 1, blockMs }));
    });
  }

  async readMore(): Promise<readonly QueueEntry[]> {
    return this.#inGroup(async () => this.#present(await this.#readRows(this.#options.client, ">")));
  }

  async confirm(entries: readonly QueueEntry[]): Promise<void> {
    await this.#remove(entries.map(({ id }) => id));
  }

  async hold(entries: readonly QueueEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const { client, consumer } = this.#options;
    const ids = entries.map(({ id }) => id);
    // With JUSTID it does not count as a delivery.
    await this.#ask(client.call("XCLAIM", this.#key, GROUP, consumer, "0", ...ids, "JUSTID"));
  }

  async deliveries({ id }: QueueEntry): Promise<number> {
    const pending = await this.#ask(this.#options.client.xpending(this.#key, GROUP, id, id, 1));
    const [row] = pending as unknown[][];
    return Number(row?.[3] ?? 0);
  }

  async bury(entry: QueueEntry, reason: string): Promise<void> {
    const { client, partition } = this.#options;
    const deliveries = String(await this.deliveries(entry));
    const facts = ["id", entry.id, "reason", reason.slice(0, REASON_LENGTH), "deliveries", deliveries];
    // One transaction: an entry is in the stream or among the dead letters, never in neither.
    const transaction = client
      .multi()
      .xadd(deadKey(partition), "*", ...facts, ...(entry as StreamEntry).fields)
      .xack(this.#key, GROUP, entry.id)
      .xdel(this.#key, entry.id);
    repliesOf(await this.#ask(transaction.exec()));
  }

  /** Tells the group that this worker is gone, unless it holds entries: those wait for it or for another. */
  async leave(): Promise<void> {
    await this.#forget(Number.MAX_SAFE_INTEGER, this.#options.consumer);
  }

  async #inGroup(read: () => Promise<readonly StreamEntry[]>): Promise<readonly StreamEntry[]> {
    try {
      return await read();
    } catch (error) {
      // What Redis gave us may not have arrived, so our own entries are read again.
      this.#ownAfter = "0";
      if (!(error instanceof Error && error.message.startsWith("NOGROUP"))) throw error;
      await this.#createGroup();
      return read();
    }
  }

  /** For the first worker, or after the data went: from the beginning, because whatever is there was not stored. */
  async #createGroup(): Promise<void> {
    try {
      await this.#ask(this.#options.client.xgroup("CREATE", this.#key, GROUP, "0", "MKSTREAM"));
    } catch (error) {
      // Another worker was first.
      if (!(error instanceof Error && error.message.startsWith("BUSYGROUP"))) throw error;
    }
  }

  async #readOwn(): Promise<readonly StreamEntry[]> {
    while (this.#ownAfter !== undefined) {
      const rows = await this.#readRows(this.#options.client, this.#ownAfter);
      const entries = await this.#present(rows);
      this.#ownAfter = rows.at(-1)?.[0].toString("latin1");
      if (entries.length > 0) return entries;
    }
    return [];
  }

  async #claim(): Promise<readonly StreamEntry[]> {
    const { client, consumer, claimIdleMs, now, onClaimed } = this.#options;
    if (now() < this.#claimDueMs) return [];
    const claim = [this.#key, GROUP, consumer, String(claimIdleMs), this.#claimAfter];
    const reply = await this.#ask(client.callBuffer("XAUTOCLAIM", ...claim, "COUNT", this.#readCount));
    const [next, rows] = reply as [Buffer, Row[]];
    this.#claimAfter = next.toString("latin1");
    if (rows.length > 0) {
      onClaimed(rows.length);
      return this.#present(rows);
    }
    // "0-0" is the end of the list; until then there is more to look at.
    if (this.#claimAfter === "0-0") {
      this.#claimDueMs = now() + claimIdleMs / 2;
      await this.#tidy();
    }
    return [];
  }

  async #tidy(): Promise<void> {
    const { client, claimIdleMs, onRescued } = this.#options;
    await this.#forget(claimIdleMs * FORGET_AFTER, "");
    const rescued = await this.#ask(client.eval(RESCUE_SCRIPT, 1, this.#key, GROUP, claimIdleMs));
    if (rescued === 1) onRescued();
  }

  async #forget(idleMs: number, name: string): Promise<void> {
    await this.#ask(this.#options.client.eval(FORGET_SCRIPT, 1, this.#key, GROUP, idleMs, name));
  }

  async #readRows(
    client: RedisClient,
    after: string,
    { count = this.#readCount, blockMs }: { count?: number; blockMs?: number } = {},
  ): Promise<readonly Row[]> {
    const { consumer, timeoutMs } = this.#options;
    const block = blockMs === undefined ? [] : ["BLOCK", String(blockMs)];
    const bounds = ["COUNT", String(count), ...block];
    const reply = await withDeadline(
      client.callBuffer("XREADGROUP", "GROUP", GROUP, consumer, ...bounds, "STREAMS", this.#key, after),
      timeoutMs + (blockMs ?? 0),
      "reading the stream",
    );
    const [stream] = (reply ?? []) as [key: Buffer, rows: Row[]][];
    return stream?.[1] ?? [];
  }

  get #readCount(): number {
    return Math.min(READ_COUNT_MAX, Math.max(1, Math.floor(READ_BYTES / this.#entryBytes)));
  }

  /** The entries among the rows; one that is pending and no longer in the stream was stored, so it is let go. */
  async #present(rows: readonly Row[]): Promise<readonly StreamEntry[]> {
    const entries: StreamEntry[] = [];
    const gone: string[] = [];
    for (const [rawId, fields] of rows) {
      const id = rawId.toString("latin1");
      if (fields === null) gone.push(id);
      else
        entries.push({ id, fields, bytes: bytesOf(fields), content: contentOf(fields, this.#options.known) });
    }
    if (entries.length > 0) this.#entryBytes = Math.max(...entries.map(({ bytes }) => bytes));
    await this.#remove(gone);
    return entries;
  }

  async #remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { client } = this.#options;
    const pipeline = client
      .pipeline()
      .xack(this.#key, GROUP, ...ids)
      .xdel(this.#key, ...ids);
    repliesOf(await this.#ask(pipeline.exec()));
  }

  #ask<T>(question: Promise<T>): Promise<T> {
    return withDeadline(question, this.#options.timeoutMs, "asking Redis");
  }
}

function bytesOf(fields: readonly Buffer[]): number {
  return fields.reduce((sum, field) => sum + field.length, 0);
}
