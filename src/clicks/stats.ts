// Statistics of one link: which buckets a query means, and how stored facts fill them.
import { invalid } from "../lib/errors.ts";

export const INTERVALS = ["hour", "day", "month"] as const;
export type Interval = (typeof INTERVALS)[number];

export const DIMENSIONS = ["country", "referrer", "browser", "os", "device", "language"] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export const BOT_FILTERS = ["exclude", "include", "only"] as const;
export type BotFilter = (typeof BOT_FILTERS)[number];

/** A query whose range covers whole buckets. */
export interface StatsQuery {
  /** Inclusive; the start of a bucket, in ms since the epoch (UTC). */
  readonly fromMs: number;
  /** Exclusive; the end of a bucket. */
  readonly toMs: number;
  readonly interval: Interval;
  readonly by: Dimension;
  readonly bots: BotFilter;
  /** Values in `top`. */
  readonly topLimit: number;
}

export interface StatsFacts {
  readonly buckets: readonly { readonly startMs: number; readonly clicks: number; readonly unique: number }[];
  /** Visitor-days: a visitor counts once a day, in the hour of its first click. */
  readonly unique: number;
  readonly top: readonly { readonly value: string; readonly clicks: number }[];
  /** The facts hold every click stored before this moment. */
  readonly asOfMs: number;
}

/** What the API answers; times are ISO 8601 in UTC. */
export interface Stats {
  readonly total: number;
  readonly unique: number;
  readonly series: readonly { readonly start: string; readonly clicks: number; readonly unique: number }[];
  readonly top: readonly { readonly value: string; readonly clicks: number }[];
  readonly asOf: string;
}

export interface StatsRequest {
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  readonly interval: Interval;
  readonly by: Dimension;
  readonly bots: BotFilter;
}

/** Buckets in one answer. 2,208 hours are three months, which is more than a chart can show. */
export const MAX_BUCKETS = 2_208;
const TOP_LIMIT = 20;
/** The latest end of a range: Postgres reads no year of five digits in ISO 8601. */
const LAST_MS = Date.UTC(9999, 11, 31);
const DEFAULT_RANGE: Record<Interval, number> = { hour: 48, day: 30, month: 12 };

/**
 * Widens the range to whole buckets; without `from` it is the last 48 hours, 30 days or 12 months before `to`.
 * @throws INVALID when the range is empty, has more than MAX_BUCKETS buckets or ends with the year 9999.
 */
export function planStats(request: StatsRequest, nowMs: number): StatsQuery {
  const { interval } = request;
  const toMs = endOfBucket(request.to?.getTime() ?? nowMs, interval, request.to !== undefined);
  if (toMs > LAST_MS) throw invalid("to", "is too far in the future");
  const fromMs =
    request.from === undefined
      ? addBuckets(toMs, interval, -DEFAULT_RANGE[interval])
      : startOfBucket(request.from.getTime(), interval);
  if (fromMs >= toMs) throw invalid("from", "must be earlier than `to`");
  if (addBuckets(fromMs, interval, MAX_BUCKETS) < toMs) {
    throw invalid(
      "interval",
      `this range has more than ${MAX_BUCKETS} buckets; choose a coarser interval or a shorter range`,
    );
  }
  return { fromMs, toMs, interval, by: request.by, bots: request.bots, topLimit: TOP_LIMIT };
}

/** Fills empty buckets with zeros. */
export function presentStats(query: StatsQuery, facts: StatsFacts): Stats {
  const found = new Map(facts.buckets.map((bucket) => [bucket.startMs, bucket]));
  const series: Stats["series"][number][] = [];
  for (let startMs = query.fromMs; startMs < query.toMs; startMs = addBuckets(startMs, query.interval, 1)) {
    const bucket = found.get(startMs);
    series.push({
      start: new Date(startMs).toISOString(),
      clicks: bucket?.clicks ?? 0,
      unique: bucket?.unique ?? 0,
    });
  }
  return {
    total: series.reduce((sum, bucket) => sum + bucket.clicks, 0),
    unique: facts.unique,
    series,
    top: facts.top,
    asOf: new Date(facts.asOfMs).toISOString(),
  };
}

/** The UTC hour, day or month that holds this moment. */
function startOfBucket(ms: number, interval: Interval): number {
  const date = new Date(ms);
  const day = interval === "month" ? 1 : date.getUTCDate();
  const hour = interval === "hour" ? date.getUTCHours() : 0;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), day, hour);
}

/** The first bucket boundary at or after an exclusive end that was given, or after a moment that is part of the range. */
function endOfBucket(ms: number, interval: Interval, exclusive: boolean): number {
  const startMs = startOfBucket(ms, interval);
  return exclusive && startMs === ms ? ms : addBuckets(startMs, interval, 1);
}

function addBuckets(startMs: number, interval: Interval, count: number): number {
  if (interval === "hour") return startMs + count * 3_600_000;
  if (interval === "day") return startMs + count * 86_400_000;
  const date = new Date(startMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + count, 1);
}
