// The cache of routes that processes share: one lookup for all of them, and none that waits for a store in trouble.
import type { Breaker } from "../lib/breaker.ts";
import { Coalescer } from "../lib/coalescer.ts";
import { timely } from "../lib/deadline.ts";
import { AppError } from "../lib/errors.ts";
import type { Recalled, RouteCopies, RouteCopy, RouteFence } from "./ports.ts";
import type { Finding, FindingSource, RouteLookup } from "./resolve.ts";
import type { Trust } from "./trust.ts";

/** What a lookup in the shared cache found; the label of hop_cache_requests_total. */
export const SHARED_RESULTS = ["hit", "negative_hit", "miss", "refused", "bypassed"] as const;
export type SharedResult = (typeof SHARED_RESULTS)[number];

export interface SharedRouteCacheOptions {
  readonly copies: RouteCopies;
  readonly source: RouteLookup;
  readonly trust: Trust;
  readonly breaker: Breaker;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Uniform in [0, 1): spreads expiry. */
  readonly random: () => number;
  readonly ttlMs: number;
  readonly unknownTtlMs: number;
  /** The copies are passed by when they take longer than this. */
  readonly timeoutMs: number;
  /** How long others wait for the one that looks a code up, and how often they look whether it is there. */
  readonly leaseMs: number;
  readonly leasePollMs: number;
  readonly maxBatch: number;
  readonly maxQueued: number;
  readonly onResult: (result: SharedResult) => void;
}

/**
 * A copy is born when Postgres is about to be asked, or earlier by as much as the server that answers may be behind, and
 * lives from then on, whoever holds it; a change leaves a fence that older copies cannot pass. The lease is that of Nishtala
 * et al., "Scaling Memcache at Facebook", 2013; versions take the place of its tokens.
 */
export class SharedRouteCache implements FindingSource {
  readonly #options: SharedRouteCacheOptions;
  /** Undefined: the copies cannot be asked. */
  readonly #recalls: Coalescer<string, Recalled | undefined>;
  readonly #news: Coalescer<RouteCopy | RouteFence, boolean>;

  constructor(options: SharedRouteCacheOptions) {
    this.#options = options;
    const { maxBatch, maxQueued } = options;
    this.#recalls = new Coalescer({ run: (codes) => this.#recall(codes), maxBatch, maxQueued });
    this.#news = new Coalescer({ run: (news) => this.#keep(news), maxBatch, maxQueued });
  }

  /** @throws what the source throws; never because of the copies */
  async find(code: string, atLeastVersion: number): Promise<Finding> {
    const { trust, now, leaseMs, leasePollMs, onResult } = this.#options;
    const patientUntilMs = now() + leaseMs;
    for (;;) {
      const askedAtMs = now();
      const recalled = await this.#ask(code);
      if (recalled === undefined) {
        onResult("bypassed");
        return this.#lookUp(code, undefined);
      }
      if (recalled.kind === "busy" && now() < patientUntilMs) {
        await Bun.sleep(leasePollMs);
        continue;
      }
      if (recalled.kind !== "copy") {
        onResult("miss");
        return this.#lookUp(code, recalled);
      }
      const { route, version, ageMs } = recalled;
      if (version < atLeastVersion || !trust.accepts(code, recalled, askedAtMs)) {
        onResult("refused");
        return this.#lookUp(code, recalled);
      }
      onResult(route === undefined ? "negative_hit" : "hit");
      return { route, ageMs };
    }
  }

  /** The link of this code changed, to this version where it is known: what is older is not believed from now on. */
  changed(code: string, version?: number): void {
    const { trust, ttlMs } = this.#options;
    trust.changed(code, version);
    if (version === undefined) return;
    // A fence that is not kept is made up for by trust, here, and by the fences of the other processes.
    void this.#submit({ code, version, lifeMs: ttlMs });
  }

  /** Changes may have been missed. */
  distrust(): void {
    this.#options.trust.distrust();
  }

  /** Waits for what is on its way to the copies. */
  async close(): Promise<void> {
    await this.#news.idle();
    await this.#recalls.idle();
  }

  async #lookUp(code: string, recalled: Recalled | undefined): Promise<Finding> {
    const { source, now, random, ttlMs, unknownTtlMs } = this.#options;
    const askedAtMs = now();
    const { route, ageMs, shareable } = await source.find(code);
    if (recalled !== undefined) {
      // Jitter only shortens: the bound of the promise is ttlMs.
      const fullLifeMs = route === undefined ? unknownTtlMs : ttlMs * (1 - random() * 0.1);
      // Without a life it is not kept, and nobody waits for it any more.
      const lifeMs = shareable ? Math.floor(fullLifeMs) : 0;
      const version = route?.version ?? recalled.version;
      const bornMs = Math.floor(recalled.asOfMs - ageMs);
      // Awaited, so that what was answered here cannot be followed by an older copy that somebody else is late with.
      await this.#submit({ code, route, version, bornMs, lifeMs });
    }
    return { route, ageMs: ageMs + now() - askedAtMs };
  }

  #ask(code: string): Promise<Recalled | undefined> | undefined {
    if (this.#options.breaker.isOpen) return undefined;
    return this.#recalls.submit(code).catch(undefinedIfFull);
  }

  async #submit(news: RouteCopy | RouteFence): Promise<void> {
    if (!this.#options.breaker.isOpen) await this.#news.submit(news).catch(undefinedIfFull);
  }

  async #recall(codes: readonly string[]): Promise<readonly (Recalled | undefined)[]> {
    const { copies, leaseMs } = this.#options;
    const distinct = [...new Set(codes)];
    const answers = await this.#unlessFailing("asking Redis for links", () =>
      copies.recall(distinct, leaseMs),
    );
    if (answers === undefined) return codes.map(() => undefined);
    if (distinct.length === codes.length) return answers;
    const byCode = new Map(distinct.map((code, index) => [code, answers[index]]));
    return codes.map((code) => {
      const answer = byCode.get(code);
      // Of those who ask for one code at once, one looks it up.
      if (answer?.kind === "mine") byCode.set(code, { ...answer, kind: "busy" });
      return answer;
    });
  }

  async #keep(news: readonly (RouteCopy | RouteFence)[]): Promise<readonly boolean[]> {
    const kept = await this.#unlessFailing("keeping links in Redis", () => this.#options.copies.keep(news));
    return kept ?? news.map(() => false);
  }

  /** Undefined when the store is passed by, also from now on. */
  async #unlessFailing<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    const { breaker, timeoutMs } = this.#options;
    if (breaker.isOpen) return undefined;
    try {
      return await timely(work(), timeoutMs, what);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // Whatever it is, redirects go on without the copies.
      breaker.fail(error);
      return undefined;
    }
  }
}

/** Too much waits for the copies; the source has a bound of its own. */
function undefinedIfFull(error: unknown): undefined {
  if (!(error instanceof AppError)) throw error;
}
