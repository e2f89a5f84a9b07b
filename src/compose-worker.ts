// Config → a running worker, which stores the clicks of the stream, and a close() that undoes it in reverse.
import { hostname } from "node:os";
import { KnownParts } from "./clicks/batch-decoder.ts";
import { Ingester, Turns } from "./clicks/ingest.ts";
import { startAdmin } from "./compose-admin.ts";
import type { Config } from "./config.ts";
import { createInstruments, type Instruments } from "./instruments.ts";
import { withDeadline } from "./lib/deadline.ts";
import { type Log, warnSeldom } from "./lib/log.ts";
import { repeat } from "./lib/loop.ts";
import { workerHealth } from "./open-health.ts";
import { openStorage, type Storage, waitForPostgres } from "./open-storage.ts";
import { complain, type StreamPlace, streamPlace, waitForRedis } from "./open-stream.ts";
import { openTracing, type Tracer } from "./open-tracing.ts";
import { startUpkeep } from "./open-upkeep.ts";
import { PostgresClickStore } from "./storage/postgres/clicks.ts";
import { isMigrated, schemaMissing } from "./storage/postgres/migrate.ts";
import { connected, openBlockingRedis, type RedisClient } from "./storage/redis/client.ts";
import { partitionSize } from "./storage/redis/stream-facts.ts";
import { RedisStreamReader } from "./storage/redis/stream-reader.ts";
import { createStreamInstruments, type StreamInstruments } from "./stream-instruments.ts";

/** A running worker. */
export interface Worker {
  /** The admin listener's URL; undefined when it is off. */
  readonly adminUrl: string | undefined;
  readonly partitions: number;
  /** Its name among the readers of the stream. */
  readonly name: string;
  /** Stores and confirms what it has in hand, within HOP_SHUTDOWN_TIMEOUT_MS. */
  close(): Promise<void>;
}

const SCHEMA_RETRY_MS = 250;

/** @throws ConfigError without HOP_REDIS_URL; Error that says what to mend when Postgres, its schema or Redis are not there */
export async function startWorker(config: Config, log: Log, version: string): Promise<Worker> {
  const place = streamPlace(config);
  await using started = new AsyncDisposableStack();
  const storage = await openStorage(config, log);
  started.defer(() => storage.close());
  await waitForPostgres(storage.sql, config.startTimeoutMs, log);
  await waitForSchema(storage, config.startTimeoutMs, log);
  const client = await waitForRedis(place, config.startTimeoutMs, log);
  started.defer(() => client.disconnect());

  const instruments = createInstruments(version);
  const streamInstruments = createStreamInstruments(instruments.registry, config.streamMaxBytes);
  await startUpkeep(config, storage.sql, log, started);
  const health = workerHealth(config, storage.sql, client);
  const admin = { host: config.adminHost, port: config.workAdminPort, portName: "HOP_WORK_ADMIN_PORT" };
  const adminUrl = startAdmin(admin, health, instruments, started);
  // A worker that comes back finds what it left under its name, which the port makes unique on its host.
  const part = adminUrl === undefined ? `${process.pid}-${Math.random().toString(36).slice(2)}` : admin.port;
  const name = `${hostname()}:${part}`;
  startSizes(config, place, client, streamInstruments, log, started);
  const tracer = await openTracing(
    { config, registry: instruments.registry, process: "work", version },
    started,
  );
  await startIngest(
    { config, place, client, storage, instruments, streamInstruments, tracer, name, log },
    started,
  );
  started.defer(() => health.drain());

  const running = started.move();
  return { adminUrl, partitions: place.partitions, name, close: () => running.disposeAsync() };
}

/** A worker migrates nothing, so that servers and workers can be deployed in any order. */
async function waitForSchema({ sql }: Storage, timeoutMs: number, log: Log): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (let attempt = 1; ; attempt++) {
    if (await isMigrated(sql)) return;
    if (performance.now() > deadlineMs) throw schemaMissing();
    if (attempt === 1) log.warn({}, "waiting for the database to be migrated");
    await Bun.sleep(SCHEMA_RETRY_MS);
  }
}

function startSizes(
  config: Config,
  { partitions }: StreamPlace,
  client: RedisClient,
  streamInstruments: StreamInstruments,
  log: Log,
  started: AsyncDisposableStack,
): void {
  const numbers = Array.from({ length: partitions }, (_, partition) => partition);
  const loop = repeat(
    config.streamCheckMs,
    async () => {
      const sizes = Promise.all(numbers.map((partition) => partitionSize(client, partition)));
      streamInstruments.setSizes(await withDeadline(sizes, config.redisTimeoutMs, "measuring the stream"));
    },
    complain(log),
  );
  started.defer(() => loop.stop());
}

interface IngestParts {
  readonly config: Config;
  readonly place: StreamPlace;
  readonly client: RedisClient;
  readonly storage: Storage;
  readonly instruments: Instruments;
  readonly streamInstruments: StreamInstruments;
  readonly tracer: Tracer | undefined;
  readonly name: string;
  readonly log: Log;
}

/** Producers and profiles that are remembered: those of the popular browsers on popular links. */
const KNOWN_PARTS = 2_000;

/** One reader for each partition; they take turns at the store, and share what bounds the worker's memory. */
async function startIngest(parts: IngestParts, started: AsyncDisposableStack): Promise<void> {
  const { config, place, log } = parts;
  const turns = new Turns();
  const postgres = new PostgresClickStore(parts.storage.sql);
  const store = parts.tracer?.around(postgres, "store") ?? postgres;
  const numbers = Array.from({ length: place.partitions }, (_, partition) => partition);
  const known = new KnownParts(KNOWN_PARTS);
  const readers = await Promise.all(numbers.map((partition) => openReader(parts, partition, known, started)));
  const options = ingestOptions(parts);
  const ingesters = readers.map((queue) => new Ingester({ queue, store, turns, ...options }));
  started.defer(async () => {
    try {
      const stopped = Promise.all(ingesters.map((ingester) => ingester.stop()));
      await withDeadline(stopped, config.shutdownTimeoutMs, "storing the last clicks");
      await Promise.all(readers.map((reader) => reader.leave()));
    } catch (error) {
      // What it held stays in the stream and goes to another worker.
      log.warn({ err: error }, "the worker ended before it had confirmed everything it had read");
    }
  });
}

async function openReader(
  { config, place, client, streamInstruments, name, log }: IngestParts,
  partition: number,
  known: KnownParts,
  started: AsyncDisposableStack,
): Promise<RedisStreamReader> {
  const blocking = openBlockingRedis(place.address, "hop-reader", config.streamBlockMs, complain(log));
  started.defer(() => blocking.disconnect());
  // If it is not, the first read says so, and is tried again.
  await connected(blocking, config.redisConnectTimeoutMs).catch(() => undefined);
  return new RedisStreamReader({
    client,
    blocking,
    partition,
    known,
    consumer: name,
    blockMs: config.streamBlockMs,
    timeoutMs: config.redisTimeoutMs,
    claimIdleMs: config.streamClaimIdleMs,
    now: () => performance.now(),
    onClaimed: (entries) => streamInstruments.claimed.inc(entries),
    onRescued: () => log.warn({ partition }, "clicks that no worker would have read are given out again"),
  });
}

/**
 * JavaScriptCore lets garbage grow to several times what is alive. 400,000 clicks that all differ, in one backlog: 231 MB resident
 * at the most if left alone, 174 MB with this. Popular browsers fill less than `memoryBytes`, and to collect all the same cost an
 * eighth of the worker's CPU time. One collection takes some 30 ms, in which nobody waits for the worker.
 */
function collectGarbage(memoryBytes: number, everyBytes: number): (bytes: number) => void {
  let waiting = 0;
  return (bytes) => {
    waiting += bytes;
    if (waiting < everyBytes || process.memoryUsage.rss() < memoryBytes) return;
    waiting = 0;
    Bun.gc(true);
  };
}

function ingestOptions({ config, instruments, streamInstruments, log }: IngestParts) {
  const sayUnstored = warnSeldom(log, "clicks could not be stored; trying again");
  return {
    maxClicks: config.ingestClicksMax,
    maxBytes: config.ingestBytesMax,
    pauseMs: config.ingestPauseMs,
    maxDeliveries: config.streamDeliveriesMax,
    random: Math.random,
    onStored: (newClicks: number, allClicks: number) => {
      instruments.clicks.add("stored", newClicks);
      instruments.clicks.add("duplicate", allClicks - newClicks);
      instruments.clickBatchSize.observe(allClicks);
    },
    onConfirmed: collectGarbage(config.ingestMemoryBytes, config.ingestCollectBytes),
    onBuried: ({ id }: { id: string }, reason: string) => {
      streamInstruments.buried.inc();
      log.error({ entry: id, reason }, "a batch was put aside; see `hop dead list`");
    },
    onRefused: ({ id }: { id: string }, error: unknown) =>
      log.error({ err: error, entry: id }, "Postgres refused a batch; it will be tried again"),
    onRetry: (error: unknown) => {
      instruments.clickRetries.inc();
      sayUnstored(error);
    },
  };
}
