// What is kept of a click, and how many of them travel together.

/** What a click tells beside its link, its time and its visitor. Clicks of one kind share one object. */
export interface Profile {
  /** ISO 3166-1 alpha-2; "ZZ" when unknown. */
  readonly country: string;
  /** Host only; empty when there was none. */
  readonly referrer: string;
  readonly browser: string;
  readonly os: string;
  readonly device: string;
  /** Primary language subtag; empty when there was none. */
  readonly language: string;
  readonly bot: boolean;
}

/** One counted redirect. No address: `visitor` is a salted hash. */
export interface Click {
  readonly linkId: number;
  /** When it was served, in ms since the epoch. */
  readonly atMs: number;
  /** A signed 64-bit integer in decimal. */
  readonly visitor: string;
  readonly profile: Profile;
}

/** The unit of the ledger: (producer, seq) is stored at most once, however often it is sent. */
export interface ClickBatch {
  /** UUID of the process that recorded the clicks. */
  readonly producer: string;
  /** 1, 2, 3 … within its producer; a missing number is a provable loss. */
  readonly seq: number;
  readonly clicks: readonly Click[];
}
