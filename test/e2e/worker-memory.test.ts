// What a worker takes of the machine does not grow with what waits for it, however little the clicks have in common.
import { expect, test } from "bun:test";
import { randomBytes, randomUUID } from "node:crypto";
import { peakResidentBytes } from "../../bench/processes.ts";
import type { Click } from "../../src/clicks/click.ts";
import { batchFields, partitionOf, streamKey } from "../../src/storage/redis/stream-entries.ts";
import { createTestDatabase } from "../helpers/database.ts";
import { startHop, startWork } from "../helpers/hop-process.ts";
import { TestRedis } from "../helpers/redis.ts";
import { waitFor } from "../helpers/wait-for.ts";

const PARTITIONS = 8;
const CLICKS = 154_000;
/** Batches of a quiet hour, from which nobody can tell the size of what follows. */
const SMALL_BATCHES = 4_000;
const LARGE_BATCH_CLICKS = 500;
const LIMIT_BYTES = 200e6;

// It took 233 MB when every reader counted its own garbage, and 215 when each read up to 64 entries before its turn.
test("a worker takes less than 200 MB while 154,000 clicks that all differ wait in eight partitions", async () => {
  await using started = new AsyncDisposableStack();
  const redis = await TestRedis.start();
  started.defer(() => redis.stop());
  const database = await createTestDatabase();
  started.defer(() => database.drop());
  const env = {
    HOP_DATABASE_URL: database.url,
    HOP_REDIS_URL: redis.url,
    HOP_STREAM_PARTITIONS: String(PARTITIONS),
  };
  // It makes the schema.
  const hop = await startHop(env);
  await hop.kill("SIGTERM");
  await fill(redis);

  const worker = await startWork(env);
  started.defer(async () => {
    await worker.kill("SIGKILL");
  });
  await waitFor(
    "the worker to store all",
    async () => {
      const lengths = await Promise.all(partitions().map((key) => redis.client.xlen(key)));
      return lengths.every((length) => length === 0);
    },
    { timeoutMs: 50_000, everyMs: 100 },
  );
  const [stored] = await database.sql<{ clicks: number }[]>`
    SELECT sum(clicks)::bigint AS clicks FROM click_batches`;
  expect(stored?.clicks).toBe(CLICKS);
  expect(await peakResidentBytes(worker.pid)).toBeLessThan(LIMIT_BYTES);
});

function partitions(): string[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => streamKey(partition));
}

async function fill(redis: TestRedis): Promise<void> {
  const producer = { id: randomUUID(), recorder: "stream", ack: "durable" } as const;
  for (let seq = 1, left = CLICKS; left > 0; seq++) {
    const count = Math.min(left, seq <= SMALL_BATCHES ? 1 : LARGE_BATCH_CLICKS);
    const clicks = Array.from({ length: count }, clickOfItsOwn);
    const fields = batchFields({ producer, seq, clicks });
    await redis.client.xadd(streamKey(partitionOf(seq, PARTITIONS)), "*", ...fields);
    left -= count;
  }
}

function clickOfItsOwn(): Click {
  const agent = {
    id: anyId(),
    text: `Mozilla/5.0 (X11; Linux x86_64) ${randomBytes(40).toString("hex")}`,
    browser: "Firefox",
    os: "Linux",
    device: "desktop",
    bot: false,
    rules: "1",
  };
  const referrer = `${randomBytes(6).toString("hex")}.example`;
  const profile = { id: anyId(), country: "DE", referrer, language: "de", agent };
  return { linkId: 1 + (randomBytes(2).readUInt16LE() % 1_000), atMs: Date.now(), visitor: anyId(), profile };
}

function anyId(): bigint {
  return randomBytes(8).readBigInt64LE();
}
