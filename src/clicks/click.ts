// What is kept of a click, and how many of them travel together.

/** What a User-Agent header said. Clicks refer to it, so that a better rule can judge the header again. */
export interface Agent {
  /** A signed 64-bit integer made from `text`: equal headers have equal ids in every process. */
  readonly id: bigint;
  /** The header, cut to MAX_USER_AGENT_LENGTH characters and with every digit a zero. */
  readonly text: string;
  readonly browser: string;
  readonly os: string;
  readonly device: string;
  readonly bot: boolean;
  /** The version of the rules that judged it. */
  readonly rules: string;
}

/** What a click tells beside its link, its time and its visitor. Clicks of one kind share one object and one row. */
export interface Profile {
  /** A signed 64-bit integer made from the other fields: equal profiles have equal ids in every process. */
  readonly id: bigint;
  /** ISO 3166-1 alpha-2; "ZZ" when unknown. */
  readonly country: string;
  /** Host only; empty when there was none. */
  readonly referrer: string;
  /** Primary language subtag; empty when there was none. */
  readonly language: string;
  readonly agent: Agent;
}

/** One counted redirect. No address: `visitor` is a salted hash. */
export interface Click {
  readonly linkId: number;
  /** When it was served, in ms since the epoch. */
  readonly atMs: number;
  /** A signed 64-bit integer. */
  readonly visitor: bigint;
  readonly profile: Profile;
}

/** A process that records clicks, as the ledger knows it. */
export interface Producer {
  /** UUID. */
  readonly id: string;
  readonly recorder: "inline" | "batch" | "stream";
  readonly ack: "durable" | "async";
}

/** The unit of the ledger: (producer, seq) is stored at most once, however often it is sent. */
export interface ClickBatch {
  readonly producer: Producer;
  /** 1, 2, 3 … within its producer; a missing number is a provable loss. */
  readonly seq: number;
  readonly clicks: readonly Click[];
  /** W3C traceparents of what is traced of it; they get lost on the way through a spool. */
  readonly traces?: readonly string[];
}
