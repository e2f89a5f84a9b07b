// Two servers, two workers, a Redis and a Postgres as real processes that a test may kill and freeze, under load that is counted.
import { findMiscounts, readLedger } from "./click-audit.ts";
import {
  type FleetOptions,
  type Member,
  postgresMember,
  redisMember,
  type ServerMember,
  startServerMember,
  startWorkerMember,
} from "./fleet-members.ts";
import { type FragileDatabase, openFragileDatabase } from "./fragile-database.ts";
import type { HopEnvironment } from "./hop-process.ts";
import type { RedirectLoad } from "./redirect-load.ts";
import { TestRedis } from "./redis.ts";
import { waitFor } from "./wait-for.ts";

/** A backlog of some minutes is stored in seconds; a machine that is busy may take longer. */
const DRAIN_MS = 90_000;
const PROCESSES = [1, 2];

export class Fleet {
  readonly database: FragileDatabase;
  readonly redis: TestRedis;
  readonly env: HopEnvironment;
  readonly members: readonly Member[];
  readonly #servers: readonly ServerMember[];
  readonly #opened: AsyncDisposableStack;

  private constructor(
    parts: Pick<Fleet, "database" | "redis" | "env">,
    servers: readonly ServerMember[],
    workers: readonly Member[],
    opened: AsyncDisposableStack,
  ) {
    this.database = parts.database;
    this.redis = parts.redis;
    this.env = parts.env;
    this.#servers = servers;
    this.members = [...servers, ...workers, redisMember(parts.redis), postgresMember(parts.database)];
    this.#opened = opened;
  }

  /** Everything is up, and the links are made. */
  static async start(options: FleetOptions): Promise<Fleet> {
    await using opened = new AsyncDisposableStack();
    const database = await openFragileDatabase();
    opened.defer(() => database.close());
    const redis = await TestRedis.start({ fsync: "everysec" });
    opened.defer(() => redis.stop());
    const env = {
      HOP_DATABASE_URL: database.url,
      HOP_REDIS_URL: redis.url,
      // So that what comes twice finds a range as often as a row.
      HOP_BATCHES_MERGE_MS: "500",
      ...options.env,
    };
    const servers: ServerMember[] = [];
    for (const number of PROCESSES) servers.push(await startServerMember(number, env, options, opened));
    for (const code of options.codes) {
      const link = { url: `https://example.com/${code}`, code };
      const made = await servers[0]?.process.api("POST", "/api/v1/links", link);
      if (made?.status !== 201) throw new Error(`${code} was not made`);
    }
    const workers: Member[] = [];
    for (const number of PROCESSES)
      workers.push(await startWorkerMember(number, env, options.workerEntry, opened));
    return new Fleet({ database, redis, env }, servers, workers, opened.move());
  }

  get loads(): readonly RedirectLoad[] {
    return this.#servers.map(({ load }) => load);
  }

  get received(): number {
    return this.#sum((load) => load.received);
  }

  get sent(): number {
    return this.#sum((load) => load.sent);
  }

  get unanswered(): number {
    return [...this.tallies.values()].reduce((sum, { sent, received }) => sum + sent - received, 0);
  }

  /** Answers that were no redirect. */
  get refused(): number {
    return this.#sum((load) =>
      [...load.statuses].reduce((sum, [status, count]) => sum + (status === 302 ? 0 : count), 0),
    );
  }

  /** Requests that nobody answered and no broken connection explains. */
  get hung(): number {
    return this.#sum((load) => load.hung);
  }

  /** What must be stored of each link: `received` clicks, and not more than `sent`, which leaves out requests that were refused. */
  get tallies(): ReadonlyMap<string, { sent: number; received: number }> {
    const sums = new Map<string, { sent: number; received: number }>();
    for (const load of this.loads) {
      for (const [code, { received, unanswered }] of load.tallies) {
        const before = sums.get(code) ?? { sent: 0, received: 0 };
        sums.set(code, {
          sent: before.sent + received + unanswered,
          received: before.received + received,
        });
      }
    }
    return sums;
  }

  startLoad(): void {
    for (const { load, process } of this.#servers) load.start(process.url);
  }

  async stopLoad(): Promise<void> {
    await Promise.all(this.loads.map((load) => load.stop()));
  }

  /** Until the clients of every server have received so many more. */
  async untilReceived(more: number): Promise<void> {
    const goals = this.loads.map((load) => ({ load, enough: load.received + more }));
    await waitFor(
      `${more} redirects of each server`,
      () => goals.every(({ load, enough }) => load.received >= enough),
      { everyMs: 1, timeoutMs: 60_000 },
    );
  }

  /** Until the clients of all servers together have received so many more. */
  async untilReceivedBySome(more: number): Promise<void> {
    const enough = this.received + more;
    await waitFor(`${more} redirects`, () => this.received >= enough, { everyMs: 1, timeoutMs: 60_000 });
  }

  /** Waits until nothing is on its way, and compares: sentences, none when every click received was stored once. */
  async findMiscounts(): Promise<string[]> {
    for (const { process } of this.#servers) {
      const empty = async () => (await process.metric("hop_spool_bytes")) === 0;
      await waitFor("the spool to be delivered", empty, { timeoutMs: DRAIN_MS });
    }
    const key = "hop:clicks:{0}";
    const drained = async () => (await this.redis.client.xlen(key).catch(() => 1)) === 0;
    await waitFor("the stream to be empty", drained, { timeoutMs: DRAIN_MS });
    const [server] = this.#servers;
    if (server === undefined) throw new Error("the fleet has servers");
    return findMiscounts(this.database.sql, server.process, this.tallies);
  }

  async ledger() {
    return readLedger(this.env);
  }

  async close(): Promise<void> {
    await this.#opened.disposeAsync();
  }

  #sum(read: (load: RedirectLoad) => number): number {
    return this.loads.reduce((sum, load) => sum + read(load), 0);
  }
}
