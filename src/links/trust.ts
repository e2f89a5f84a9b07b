// Which shared copies of routes this process may believe, after what it heard of changes and failures.

/** A copy as far as trust is concerned. */
export interface Witness {
  readonly version: number;
  /** Since Postgres was asked for it, by the clock of whoever keeps the copies. */
  readonly ageMs: number;
}

export interface TrustOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** A copy that is older is never believed, so a change needs no longer memory than this. */
  readonly ttlMs: number;
  /** Changes remembered; with more in `ttlMs`, every copy from before is distrusted instead. */
  readonly maxChanges: number;
}

interface Change {
  readonly heardAtMs: number;
  /** Older versions are not believed. */
  readonly version: number;
  /** Copies from before this are not believed, whatever their version: the change's own is not known. */
  readonly unknownSinceMs: number;
}

const NEVER = Number.NEGATIVE_INFINITY;

/**
 * What a process has seen of a link it must not unsee: a copy that a failed or restarted Redis gives back may be older.
 * Ages are compared with time spans of this process, so no two clocks have to agree.
 */
export class Trust {
  readonly #options: TrustOptions;
  /** Least recently changed first. */
  readonly #changes = new Map<string, Change>();
  #distrustedAtMs = NEVER;

  constructor(options: TrustOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#changes.size;
  }

  /** The link of this code changed, to this version where it is known. */
  changed(code: string, version?: number): void {
    const nowMs = this.#options.now();
    const before = this.#changes.get(code);
    this.#changes.delete(code);
    this.#changes.set(code, {
      heardAtMs: nowMs,
      version: Math.max(before?.version ?? 0, version ?? 0),
      unknownSinceMs: version === undefined ? nowMs : (before?.unknownSinceMs ?? NEVER),
    });
    this.#prune(nowMs);
    if (this.#changes.size > this.#options.maxChanges) this.distrust();
  }

  /** Anything may have changed, or been forgotten: from now on only copies that are made from now on are believed. */
  distrust(): void {
    this.#distrustedAtMs = this.#options.now();
    this.#changes.clear();
  }

  /** @param askedAtMs when the copy was asked for, so that the way back makes it look older and never younger */
  accepts(code: string, { version, ageMs }: Witness, askedAtMs: number): boolean {
    if (ageMs >= this.#options.ttlMs || ageMs >= askedAtMs - this.#distrustedAtMs) return false;
    const change = this.#changes.get(code);
    if (change === undefined) return true;
    return version >= change.version && ageMs < askedAtMs - change.unknownSinceMs;
  }

  #prune(nowMs: number): void {
    for (const [code, { heardAtMs }] of this.#changes) {
      if (nowMs - heardAtMs <= this.#options.ttlMs) return;
      this.#changes.delete(code);
    }
  }
}
