// Copies of routes in Redis, by domain and code: on one server, or spread over the masters of a cluster.
import { DEFAULT_DOMAIN_ID } from "../../links/link.ts";
import type { Recalled, RouteCopies, RouteCopy, RouteFence } from "../../links/ports.ts";
import type { RedisClient } from "./client.ts";
import { decodeRecalled, encodeNews, FORMAT } from "./route-codec.ts";
import { KEEP_SCRIPT, RECALL_SCRIPT } from "./route-scripts.ts";
import { RedisScript } from "./script.ts";

/** Hash tags that a cluster's codes are spread over, so that one command serves many codes. */
const CLUSTER_BUCKETS = 64;

export class RedisRouteCopies implements RouteCopies {
  readonly #client: RedisClient;
  readonly #buckets: number;
  readonly #recallScript = new RedisScript(RECALL_SCRIPT);
  readonly #keepScript = new RedisScript(KEEP_SCRIPT);

  constructor(client: RedisClient) {
    this.#client = client;
    this.#buckets = client.isCluster ? CLUSTER_BUCKETS : 1;
  }

  async recall(codes: readonly string[], leaseMs: number): Promise<readonly Recalled[]> {
    const answers = await this.#perBucket(
      codes,
      (code) => code,
      async (members) => {
        const reply = await this.#recallScript.run(this.#client, this.#keysOf(members), [leaseMs]);
        const [nowMs, ...copies] = reply as [number, ...string[]];
        return copies.map((copy) => decodeRecalled(copy, nowMs));
      },
    );
    return answers;
  }

  async keep(news: readonly (RouteCopy | RouteFence)[]): Promise<readonly boolean[]> {
    return this.#perBucket(
      news,
      ({ code }) => code,
      async (members) => {
        const args = members.flatMap((member) => [
          member.version,
          "bornMs" in member ? member.bornMs : 0,
          member.lifeMs,
          encodeNews(member),
        ]);
        const keys = this.#keysOf(members.map(({ code }) => code));
        const kept = await this.#keepScript.run(this.#client, keys, args);
        return (kept as number[]).map((each) => each === 1);
      },
    );
  }

  async check(): Promise<void> {
    const buckets = Array.from({ length: this.#buckets }, (_, bucket) => bucket);
    await Promise.all(buckets.map((bucket) => this.#client.exists(keyOf("route", bucket, ""))));
  }

  /** One command for each bucket; answers in the order of the items. */
  async #perBucket<T, R>(
    items: readonly T[],
    codeOf: (item: T) => string,
    work: (members: readonly T[]) => Promise<readonly R[]>,
  ): Promise<readonly R[]> {
    if (this.#buckets === 1) return work(items);
    const groups = Map.groupBy(items.keys(), (index) => this.#bucketOf(codeOf(items[index] as T)));
    const answers: R[] = Array.from({ length: items.length });
    await Promise.all(
      [...groups.values()].map(async (indices) => {
        const results = await work(indices.map((index) => items[index] as T));
        for (const [place, index] of indices.entries()) answers[index] = results[place] as R;
      }),
    );
    return answers;
  }

  #keysOf(codes: readonly string[]): string[] {
    return codes.flatMap((code) => {
      const bucket = this.#bucketOf(code);
      return [keyOf("route", bucket, code), keyOf("lease", bucket, code)];
    });
  }

  #bucketOf(code: string): number {
    if (this.#buckets === 1) return 0;
    // FNV-1a: any spread that every process agrees on.
    let hash = 0x811c9dc5;
    for (let index = 0; index < code.length; index++) {
      hash = Math.imul(hash ^ code.charCodeAt(index), 0x01000193);
    }
    return (hash >>> 0) % this.#buckets;
  }
}

function keyOf(what: "route" | "lease", bucket: number, code: string): string {
  return `hop:${what}${FORMAT}:{${bucket}}:${DEFAULT_DOMAIN_ID}:${code}`;
}
