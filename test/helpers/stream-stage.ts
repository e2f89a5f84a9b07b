// Both ends of the stream over one real Redis: senders, workers, and everything that they report.
import { randomUUID } from "node:crypto";
import { KnownParts } from "../../src/clicks/batch-decoder.ts";
import type { Click, ClickBatch, Producer } from "../../src/clicks/click.ts";
import { Ingester, type QueueEntry, Turns } from "../../src/clicks/ingest.ts";
import type { ClickStore } from "../../src/clicks/ports.ts";
import {
  openBlockingRedis,
  openRedis,
  type RedisAddress,
  type RedisClient,
} from "../../src/storage/redis/client.ts";
import { openConnection } from "../../src/storage/redis/connection.ts";
import { RedisClickStream, type RedisClickStreamOptions } from "../../src/storage/redis/click-stream.ts";
import { type PartitionSize, streamFacts } from "../../src/storage/redis/stream-facts.ts";
import { RedisStreamReader } from "../../src/storage/redis/stream-reader.ts";
import { FIXED_BATCH } from "./batches.ts";
import { waitFor } from "./wait-for.ts";

const TIMEOUT_MS = 2_000;
const BLOCK_MS = 50;

export type SenderOptions = Partial<RedisClickStreamOptions> & { readonly commandTimeoutMs?: number };

export interface StageWorker {
  readonly name: string;
  /** Confirms what it has in hand and leaves the group. */
  stop(): Promise<void>;
  /** As kill -9: its connections go in the middle of whatever it does. */
  crash(): void;
}

export class StreamStage {
  readonly address: RedisAddress;
  readonly partitions: number;
  readonly client: RedisClient;
  readonly #opened = new AsyncDisposableStack();
  readonly resent: number[] = [];
  readonly claimed: number[] = [];
  readonly buried: { id: string; reason: string }[] = [];
  readonly errors: unknown[] = [];
  rescues = 0;
  refusals = 0;
  retries = 0;
  sizes: readonly PartitionSize[] = [];

  constructor(url: string, partitions = 1) {
    this.address = { url, commandTimeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };
    this.partitions = partitions;
    this.client = this.open();
  }

  /** A connection, ended with the stage. */
  open(): RedisClient {
    const client = openRedis(this.address, "test", (error) => this.errors.push(error));
    this.#opened.defer(() => client.disconnect());
    return client;
  }

  /** Until commands can be sent. */
  async ready(): Promise<void> {
    await waitFor("Redis to take commands", () =>
      this.client.exists("ready").then(
        () => true,
        () => false,
      ),
    );
  }

  sender({ commandTimeoutMs = TIMEOUT_MS, ...options }: SenderOptions = {}): RedisClickStream {
    const address = { ...this.address, commandTimeoutMs };
    const connection = openConnection(address, "test", (error) => this.errors.push(error));
    this.#opened.defer(() => connection.close());
    const stream = new RedisClickStream({
      connection,
      client: this.open(),
      partitions: this.partitions,
      waitReplicas: 0,
      waitMs: 500,
      maxBytes: 1 << 28,
      resendMs: 3_000,
      resendMaxBytes: 1 << 24,
      behindEntries: 1_000_000,
      pauseMs: 600_000,
      checkEveryMs: 50,
      onSize: (sizes) => {
        this.sizes = sizes;
      },
      onResent: (entries) => this.resent.push(entries),
      onCheckFailed: (error) => this.errors.push(error),
      ...options,
    });
    this.#opened.defer(() => stream.close());
    return stream;
  }

  /** A sender that has seen the master. */
  async connectedSender(options: SenderOptions = {}): Promise<RedisClickStream> {
    const sender = this.sender(options);
    await waitFor("the sender to be connected", () =>
      sender.check().then(
        () => true,
        () => false,
      ),
    );
    return sender;
  }

  /** Sends one batch after the other. */
  async append(batches: readonly ClickBatch[]): Promise<RedisClickStream> {
    const sender = await this.connectedSender();
    for (const batch of batches) await sender.storeBatches([batch]);
    return sender;
  }

  /** Entries of all partitions. */
  async length(): Promise<number> {
    const facts = await streamFacts(this.client, this.partitions);
    return facts.reduce((sum, { entries }) => sum + entries, 0);
  }

  /** Until the stream is empty. */
  async drained(): Promise<void> {
    await waitFor("the stream to be empty", async () => (await this.length().catch(() => 1)) === 0, {
      timeoutMs: 30_000,
    });
  }

  worker(
    store: ClickStore,
    options: { name?: string; claimIdleMs?: number; maxDeliveries?: number; maxClicks?: number } = {},
  ): StageWorker {
    const { name = randomUUID(), claimIdleMs = 60_000, maxDeliveries = 3, maxClicks = 10_000 } = options;
    const onError = (error: unknown) => this.errors.push(error);
    const known = new KnownParts(100);
    const lanes = Array.from({ length: this.partitions }, (_, partition) => {
      const client = openRedis(this.address, name, onError);
      const blocking = openBlockingRedis(this.address, name, BLOCK_MS, onError);
      const queue = new RedisStreamReader({
        client,
        blocking,
        partition,
        known,
        consumer: name,
        blockMs: BLOCK_MS,
        timeoutMs: TIMEOUT_MS,
        claimIdleMs,
        now: () => performance.now(),
        onClaimed: (entries) => this.claimed.push(entries),
        onRescued: () => {
          this.rescues++;
        },
      });
      return { client, blocking, queue };
    });
    const turns = new Turns();
    const ingesters = lanes.map(
      ({ queue }) =>
        new Ingester({
          queue,
          store,
          turns,
          maxClicks,
          maxBytes: 1 << 22,
          maxDeliveries,
          pauseMs: 1,
          onConfirmed: () => undefined,
          random: Math.random,
          onStored: () => undefined,
          onBuried: ({ id }: QueueEntry, reason) => this.buried.push({ id, reason }),
          onRefused: () => {
            this.refusals++;
          },
          onRetry: (error) => {
            this.retries++;
            this.errors.push(error);
          },
        }),
    );
    const disconnect = () => {
      for (const { client, blocking } of lanes) for (const each of [client, blocking]) each.disconnect();
    };
    const end = async () => {
      await Promise.all(ingesters.map((ingester) => ingester.stop()));
      disconnect();
    };
    this.#opened.defer(end);
    return {
      name,
      stop: async () => {
        await Promise.all(ingesters.map((ingester) => ingester.stop()));
        await Promise.all(lanes.map(({ queue }) => queue.leave()));
        disconnect();
      },
      crash: disconnect,
    };
  }

  /** Everything stops, in reverse order; Redis itself is the test's. */
  async clear(): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

/** Batches of one producer, numbered on from 1. */
export class BatchMaker {
  readonly producer: Producer = { id: randomUUID(), recorder: "stream", ack: "durable" };
  readonly made: ClickBatch[] = [];

  next(clicks = 3): ClickBatch {
    const seq = this.made.length + 1;
    const batch: ClickBatch = {
      producer: this.producer,
      seq,
      clicks: Array.from({ length: clicks }, (_, index) => ({
        ...pattern(index),
        linkId: seq * 1_000 + index,
      })),
    };
    this.made.push(batch);
    return batch;
  }

  many(count: number, clicks = 3): ClickBatch[] {
    return Array.from({ length: count }, () => this.next(clicks));
  }
}

function pattern(index: number): Click {
  const click = FIXED_BATCH.clicks[index % FIXED_BATCH.clicks.length];
  if (click === undefined) throw new Error("the fixed batch has clicks");
  return click;
}
