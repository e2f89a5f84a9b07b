// Which answers of a lagging copy may be used: the rule that keeps old targets out of caches.
import type { Clock } from "../lib/clock.ts";

/** A place in the write-ahead log of the primary, in bytes. */
export type Position = number;

export interface ReplicaRuleOptions {
  readonly clock: Clock;
  /** How old the newest state may be that the replica has surely reached. */
  readonly maxLagMs: number;
  /** Changed links that are remembered; beyond it every link counts as changed. */
  readonly maxChanges: number;
}

interface Sample {
  /** Samples are numbered in the order in which they were asked for. */
  readonly number: number;
  readonly askedAtMs: number;
  readonly position: Position;
}

/**
 * Once in a while somebody asks the primary how far it is: a sample. An answer of a replica may be used when the replica had
 * replayed a sample, before it looked, that was asked for
 *   1. at most `maxLagMs` ago, and
 *   2. after the last change of this link was heard, and after changes began to be heard without a gap.
 * A change is in the log of the primary before it can be heard of, so whoever has replayed that sample has the change.
 * What a replica said earlier is never relied on: it may be another one, or one that crashed and went back.
 */
export class ReplicaRule {
  readonly #options: ReplicaRuleOptions;
  /** The number of the last sample that was asked for before a link's change was heard; only a later one covers it. */
  readonly #changes = new Map<string, number>();
  /** Of this listening, the oldest first; positions never fall. */
  #samples: Sample[] = [];
  #lastAsked = 0;
  /** Samples up to this number may have missed a change that nobody heard of. */
  #lastBeforeGap = 0;
  #hearing = false;

  constructor(options: ReplicaRuleOptions) {
    this.#options = options;
  }

  /** An answer that is allowed is no older. */
  get maxLagMs(): number {
    return this.#options.maxLagMs;
  }

  /** This link changed. To be called before anything is looked up because of it. */
  changed(code: string): void {
    if (this.#changes.size >= this.#options.maxChanges && !this.#changes.has(code)) return this.gap();
    // Deleted first, so that the map stays in the order of its numbers.
    this.#changes.delete(code);
    this.#changes.set(code, this.#lastAsked);
  }

  /** Any link may have changed. */
  gap(): void {
    this.#lastBeforeGap = this.#lastAsked;
    this.#samples = [];
    this.#changes.clear();
  }

  /** Whether changes are heard from now on; what came before is a gap. */
  hears(hearing: boolean): void {
    this.#hearing = hearing;
    this.gap();
  }

  /** Asks the primary for its position, which must be that of everything inserted into its log, flushed or not. */
  async sample(ask: () => Promise<Position>): Promise<void> {
    const number = ++this.#lastAsked;
    const askedAtMs = this.#options.clock();
    const position = await ask();
    const newest = this.#samples.at(-1);
    if (number <= this.#lastBeforeGap || (newest !== undefined && newest.number > number)) return;
    // A primary that went back is another one, and what was known of the old one is void.
    if (newest !== undefined && newest.position > position) this.gap();
    else this.#samples.push({ number, askedAtMs, position });
    this.#forget();
  }

  /** Whether what a replica says about this link may be used; `replayed` is what it had replayed before it looked. */
  allows(code: string, replayed: Position): boolean {
    const sample = this.#reached(replayed);
    if (!this.#hearing || sample === undefined || this.#age(sample) > this.#options.maxLagMs) return false;
    return this.#covers(sample, code);
  }

  /**
   * The same while the primary cannot be asked: however old the answer is, unless a change of this link was heard that it
   * does not have. When nothing is heard any answer is as good as can be had; hearing again is a gap, which ends it.
   */
  allowsInNeed(code: string, replayed: Position): boolean {
    if (!this.#hearing) return true;
    const sample = this.#reached(replayed);
    return sample !== undefined && this.#covers(sample, code);
  }

  /** How far behind a replica is at most, in ms; Infinity when it cannot be told. */
  lagMs(replayed: Position | undefined): number {
    const sample = replayed === undefined ? undefined : this.#reached(replayed);
    if (sample === undefined) return Number.POSITIVE_INFINITY;
    return sample === this.#samples.at(-1) ? 0 : this.#age(sample);
  }

  #reached(replayed: Position): Sample | undefined {
    return this.#samples.findLast((sample) => sample.position <= replayed);
  }

  #covers(sample: Sample, code: string): boolean {
    const changed = this.#changes.get(code);
    return changed === undefined || sample.number > changed;
  }

  #age({ askedAtMs }: Sample): number {
    return this.#options.clock() - askedAtMs;
  }

  /** Samples that are too old decide nothing, except the newest in need; changes before the oldest are in all of them. */
  #forget(): void {
    const young = this.#samples.findIndex((sample) => this.#age(sample) <= this.#options.maxLagMs);
    this.#samples = this.#samples.slice(young === -1 ? -1 : young);
    const oldest = this.#samples[0];
    if (oldest === undefined) return;
    for (const [code, changed] of this.#changes) {
      if (changed >= oldest.number) return;
      this.#changes.delete(code);
    }
  }
}
