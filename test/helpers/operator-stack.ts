// A server and a worker over a Postgres and a Redis of an operator's own, which go all at once.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../../src/storage/postgres/database.ts";
import {
  type HopEnvironment,
  type HopProcess,
  startHop,
  startWork,
  type WorkProcess,
} from "./hop-process.ts";
import { OwnPostgres } from "./own-postgres.ts";
import { TestRedis } from "./redis.ts";

export interface Fleet {
  readonly postgres: OwnPostgres;
  readonly redis: TestRedis;
  readonly sql: Database;
  readonly hop: HopProcess;
  readonly worker: WorkProcess;
  readonly env: HopEnvironment;
  /** Where the server's spool is. */
  readonly dataDir: string;
  /** kill -9 of all of it, and nothing of its data stays. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface FleetParts {
  readonly redis?: Parameters<typeof TestRedis.start>[0];
  /** What has to be done to the empty stores before hop starts. */
  readonly prepare?: (parts: { postgres: OwnPostgres; redis: TestRedis; dataDir: string }) => Promise<void>;
}

export async function openFleet({ redis: redisOptions, prepare }: FleetParts): Promise<Fleet> {
  await using opened = new AsyncDisposableStack();
  const dataDir = temporaryDirectory(opened);
  const postgres = await OwnPostgres.start();
  opened.defer(() => postgres.stop());
  const redis = await TestRedis.start(redisOptions);
  opened.defer(() => redis.stop());
  await prepare?.({ postgres, redis, dataDir });
  const env = {
    HOP_DATABASE_URL: postgres.url,
    HOP_REDIS_URL: redis.url,
    HOP_DATA_DIR: dataDir,
    // What a worker of an earlier fleet had read is not waited for.
    HOP_STREAM_CLAIM_IDLE_MS: "1000",
  };
  const hop = await startHop(env);
  opened.defer(async () => {
    await hop.kill("SIGKILL");
  });
  const worker = await startWork(env);
  opened.defer(async () => {
    await worker.kill("SIGKILL");
  });
  const sql = openDatabase({
    address: { url: postgres.url },
    connections: 2,
    statementTimeoutMs: 30_000,
    applicationName: "test",
  });
  opened.defer(() => sql.end());
  const running = opened.move();
  return {
    postgres,
    redis,
    sql,
    hop,
    worker,
    env,
    dataDir,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Gone with the stack. */
export function temporaryDirectory(opened: AsyncDisposableStack): string {
  const path = mkdtempSync(join(tmpdir(), "hop-deploy-"));
  opened.defer(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
