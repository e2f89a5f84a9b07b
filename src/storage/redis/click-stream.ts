// Sends batches to a stream in Redis, from which workers store them. A batch is confirmed when Redis has it.
import type { ClickBatch, Producer } from "../../clicks/click.ts";
import type { ClickStore } from "../../clicks/ports.ts";
import { AppError } from "../../lib/errors.ts";
import { type Loop, repeat } from "../../lib/loop.ts";
import { type RedisClient, redisUnavailable } from "./client.ts";
import type { RedisCommand, RedisConnection } from "./connection.ts";
import { RecentEntries } from "./recent-entries.ts";
import {
  batchFields,
  type EntryFields,
  goodbyeFields,
  partitionOf,
  sizeOf,
  streamKey,
} from "./stream-entries.ts";
import { masterIdentity, partitionSize, type PartitionSize } from "./stream-facts.ts";

export interface RedisClickStreamOptions {
  /** For the clicks, and for asking who confirmed them. */
  readonly connection: RedisConnection;
  /** For measuring the stream. */
  readonly client: RedisClient;
  readonly partitions: number;
  /** Replicas that must have an entry before it is confirmed, and how long they may take. */
  readonly waitReplicas: number;
  readonly waitMs: number;
  /** Of the whole stream in Redis; above it nothing is appended. Known to within what is sent between two checks. */
  readonly maxBytes: number;
  /** What was confirmed within this time before the last sign of life may be sent again. */
  readonly resendMs: number;
  readonly resendMaxBytes: number;
  /** With more entries than this in the stream, batches are sent `pauseMs` apart. */
  readonly behindEntries: number;
  readonly pauseMs: number;
  /** How often the stream's size and its master are looked at. */
  readonly checkEveryMs: number;
  readonly onSize: (sizes: readonly PartitionSize[]) => void;
  /** A master was restarted, replaced or emptied; this many entries were sent again. */
  readonly onResent: (entries: number) => void;
  /** Redis could not be looked at. */
  readonly onCheckFailed: (error: unknown) => void;
}

/** One partition, as this process knows it. */
interface Partition {
  readonly number: number;
  readonly recent: RecentEntries;
  /** What the master of the last check was; undefined until one succeeded. */
  identity: string | undefined;
}

const RESEND_PAGE = 100;

/**
 * Redis answers before its data is safe: with `appendfsync everysec` a crash of the machine costs up to two seconds, and a
 * replica that takes over lacks what had not reached it. So what was confirmed lately is kept here, and sent again when the
 * master is not the one that confirmed it. (producer, seq) makes that safe.
 */
export class RedisClickStream implements ClickStore {
  readonly #options: RedisClickStreamOptions;
  readonly #partitions: readonly Partition[];
  readonly #checks: Loop;
  #measuredBytes = 0;
  #sentBytes = 0;
  #behind = false;
  #sentAtMs = 0;

  constructor(options: RedisClickStreamOptions) {
    this.#options = options;
    this.#partitions = Array.from({ length: options.partitions }, (_, number) => ({
      number,
      recent: new RecentEntries(options.resendMaxBytes / options.partitions),
      identity: undefined,
    }));
    this.#checks = repeat(options.checkEveryMs, () => this.check(), options.onCheckFailed);
  }

  /**
   * Confirmed when Redis, and as many replicas as were asked for, has all of them.
   * @returns all clicks: which of them are new is known when they are stored
   * @throws AppError TEMPORARILY_UNAVAILABLE: some of the batches may be in the stream all the same
   */
  async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    this.#refuseWhenFull();
    if (this.#behind) await this.#keepDistance();
    const byPartition = Map.groupBy(batches, ({ seq }) => partitionOf(seq, this.#partitions.length));
    await Promise.all(
      [...byPartition].map(([partition, members]) => this.#send(partition, members.map(batchFields))),
    );
    return batches.reduce((sum, batch) => sum + batch.clicks.length, 0);
  }

  /** The worker tells the store. Not refused when the stream is full: it is small, and the last word. */
  async closeProducer(
    producer: Producer,
    lastSeq: number,
    dropped: Readonly<Record<string, number>>,
  ): Promise<void> {
    await this.#send(partitionOf(lastSeq, this.#partitions.length), [
      goodbyeFields({ producer, lastSeq, dropped }),
    ]);
  }

  /**
   * Measures the stream and sends again what a restarted, replaced or emptied master may lack. Called by itself every
   * `checkEveryMs`. @throws when Redis cannot be asked; what it would have sent is still kept
   */
  async check(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#partitions.map((each) => this.#checkMaster(each)));
    const sizes = await Promise.all(
      this.#partitions.map(({ number }) => partitionSize(this.#options.client, number)),
    );
    this.#measuredBytes = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#sentBytes = 0;
    const entries = sizes.reduce((sum, size) => sum + size.entries, 0);
    this.#behind = entries > this.#options.behindEntries;
    this.#options.onSize(sizes);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  /** A last check, and no more. The connections stay open: they are not ours. */
  async close(): Promise<void> {
    await this.#checks.stop();
    await this.check().catch(this.#options.onCheckFailed);
  }

  #refuseWhenFull(): void {
    if (this.#measuredBytes + this.#sentBytes < this.#options.maxBytes) return;
    throw new AppError(
      "TEMPORARILY_UNAVAILABLE",
      "The stream of clicks is full; start more workers (hop work).",
    );
  }

  /**
   * What a worker spends on an entry hardly depends on the clicks in it (14 us with one, 22 with 22), and the faster Redis
   * confirms the fewer there are. So while workers are behind, clicks gather for a moment.
   */
  async #keepDistance(): Promise<void> {
    const ms = this.#sentAtMs + this.#options.pauseMs - performance.now();
    if (ms > 0) await Bun.sleep(ms);
    this.#sentAtMs = performance.now();
  }

  async #send(partition: number, entries: readonly EntryFields[]): Promise<void> {
    await this.#append(partition, entries);
    const confirmedAtMs = performance.now();
    for (const fields of entries) this.#partitions[partition]?.recent.add(fields, confirmedAtMs);
  }

  async #append(partition: number, entries: readonly EntryFields[]): Promise<void> {
    const { connection, waitReplicas, waitMs } = this.#options;
    const commands: RedisCommand[] = [];
    for (const fields of entries) {
      commands.push(["XADD", streamKey(partition), "*", ...fields]);
      this.#sentBytes += sizeOf(fields);
    }
    // On the connection of the entries, behind them: WAIT speaks about the writes of its own connection only.
    if (waitReplicas > 0) commands.push(["WAIT", String(waitReplicas), String(waitMs)]);
    const replies = await connection.send(commands).catch((error: unknown) => {
      throw redisUnavailable(error);
    });
    if (waitReplicas > 0 && Number(replies.at(-1)) < waitReplicas) {
      throw redisUnavailable(
        new Error(`${String(replies.at(-1))} of ${waitReplicas} replicas had the clicks after ${waitMs} ms`),
      );
    }
  }

  async #checkMaster(partition: Partition): Promise<void> {
    const { connection, resendMs, onResent } = this.#options;
    const askedAtMs = performance.now();
    // By the connection of the clicks: another one may have reached another server.
    const identity = await masterIdentity(connection, partition.number);
    if (identity === partition.identity) return partition.recent.prune(askedAtMs - resendMs);
    const entries = partition.recent.all;
    for (let start = 0; start < entries.length; start += RESEND_PAGE) {
      const page = entries.slice(start, start + RESEND_PAGE);
      // Kept for as long as new ones: this master may be replaced as well.
      await this.#send(
        partition.number,
        page.map(({ fields }) => fields),
      );
    }
    partition.recent.prune(askedAtMs);
    // Only now: had anything failed, the next check would send everything again.
    partition.identity = identity;
    if (entries.length > 0) onResent(entries.length);
  }
}
