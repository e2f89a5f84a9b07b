// How full the stream is: its length, size and age, who has what, and which batches are in it.
import type { Transit, TransitBatch } from "../../clicks/transit.ts";
import type { RedisClient } from "./client.ts";
import type { RedisConnection } from "./connection.ts";
import { deadKey, eraKey, GROUP, labelOf, streamKey } from "./stream-entries.ts";

/** What can be asked every second. */
export interface PartitionSize {
  /** Entries that are not stored yet. */
  readonly entries: number;
  /** As Redis accounts for it. */
  readonly bytes: number;
  /** Of the oldest entry, by Redis's clock; 0 when there is none. */
  readonly oldestMs: number;
  /** Entries that were put aside. */
  readonly dead: number;
}

export interface PartitionFacts extends PartitionSize {
  readonly partition: number;
  /** Entries that a worker has read and not confirmed. */
  readonly consumers: readonly { readonly name: string; readonly pending: number; readonly idleMs: number }[];
}

/** In Redis, because the reply would otherwise carry the oldest batch each time. */
const SIZE_SCRIPT = `
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local time = redis.call('TIME')
return {redis.call('XLEN', KEYS[1]), redis.call('MEMORY', 'USAGE', KEYS[1]) or 0,
  first[1] and first[1][1] or '', time[1], time[2], redis.call('XLEN', KEYS[2])}`;

export async function partitionSize(client: RedisClient, partition: number): Promise<PartitionSize> {
  const reply = await client.eval(SIZE_SCRIPT, 2, streamKey(partition), deadKey(partition));
  const [entries, bytes, firstId, seconds, microseconds, dead] = reply as unknown[];
  const nowMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  const firstMs = Number.parseInt(String(firstId), 10);
  return {
    entries: Number(entries),
    bytes: Number(bytes),
    oldestMs: Number.isNaN(firstMs) ? 0 : Math.max(0, nowMs - firstMs),
    dead: Number(dead),
  };
}

/** @throws Error when Redis cannot be asked */
export async function streamFacts(client: RedisClient, partitions: number): Promise<PartitionFacts[]> {
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => ({
      partition,
      ...(await partitionSize(client, partition)),
      consumers: await consumersOf(client, partition),
    })),
  );
}

async function consumersOf(client: RedisClient, partition: number): Promise<PartitionFacts["consumers"]> {
  try {
    const reply = (await client.xinfo("CONSUMERS", streamKey(partition), GROUP)) as unknown[][];
    return reply.map((flat) => {
      const value = (name: string) => flat[flat.indexOf(name) + 1];
      return {
        name: String(value("name")),
        pending: Number(value("pending")),
        idleMs: Number(value("idle")),
      };
    });
  } catch (error) {
    // No worker has been here yet, so neither is the group, or not even the stream.
    if (error instanceof Error && /^(NOGROUP|ERR no such key)/.test(error.message)) return [];
    throw error;
  }
}

/** Payloads travel with the labels, so pages are small. */
const PAGE = 100;

/** What is in the stream and among the dead letters, at most `limit` of each partition and kind. */
export async function batchesInTransit(
  client: RedisClient,
  partitions: number,
  limit: number,
): Promise<Transit> {
  const batches: TransitBatch[] = [];
  const facts = await streamFacts(client, partitions);
  const readers = facts.flatMap(({ partition, consumers }) =>
    consumers.map(({ name, pending, idleMs }) => ({ partition, name, batches: pending, idleMs })),
  );
  let complete = true;
  for (let partition = 0; partition < partitions; partition++) {
    for (const [key, state] of [
      [streamKey(partition), "waiting"],
      [deadKey(partition), "dead"],
    ] as const) {
      let read = 0;
      for await (const page of pagesOf(client, key)) {
        const labels = page.slice(0, limit - read).map(([, fields]) => labelOf(fields));
        batches.push(...labels.filter(({ clicks }) => clicks > 0).map((label) => ({ ...label, state })));
        read += page.length;
        if (read <= limit) continue;
        complete = false;
        break;
      }
    }
  }
  return { batches, complete, readers };
}

export type RawEntry = readonly [id: string, fields: readonly Buffer[]];

/** All entries of a stream, oldest first. */
export async function* pagesOf(client: RedisClient, key: string): AsyncGenerator<readonly RawEntry[]> {
  for (let from = "-"; ;) {
    const page = (await client.xrangeBuffer(key, from, "+", "COUNT", PAGE)).map(([id, fields]): RawEntry => [
      id.toString("latin1"),
      fields,
    ]);
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    from = `(${last[0]}`;
  }
}

const REPLICATION_FIELDS = /^(?:run_id|master_replid):(\S+)/gm;

/**
 * Names the data that the master of a partition holds: another value means that the server was restarted, replaced or
 * emptied (FLUSHALL, FLUSHDB), and may lack what it or the last one had confirmed.
 */
export async function masterIdentity(connection: RedisConnection, partition: number): Promise<string> {
  const [era, server, replication] = await connection.send([
    ["GET", eraKey(partition)],
    ["INFO", "server"],
    ["INFO", "replication"],
  ]);
  const text = `${String(server)}\n${String(replication)}`;
  const fields = [...text.matchAll(REPLICATION_FIELDS)].map(([, value]) => value);
  return [...fields, era ?? (await beginEra(connection, partition))].join(" ");
}

/** Of several processes that find none, one decides. */
async function beginEra(connection: RedisConnection, partition: number): Promise<unknown> {
  const key = eraKey(partition);
  const [, era] = await connection.send([
    ["SET", key, crypto.randomUUID(), "NX"],
    ["GET", key],
  ]);
  return era;
}
