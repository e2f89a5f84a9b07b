// From samples to the figures of the page: medians and ranges over rounds, ratios within a round, goals met or missed.
import type { Costs } from "./costs.ts";
import type { Sample } from "./measure.ts";
import { median } from "./median.ts";
import type { Scale } from "./scale.ts";
import type { Statistics } from "./statistics.ts";
import type { Storing } from "./storing.ts";
import type { SubjectName } from "./subjects.ts";

export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Undefined when there is nothing to summarise. */
export function figure(values: readonly (number | undefined)[]): Figure | undefined {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  return { median: median(known), min: Math.min(...known), max: Math.max(...known) };
}

export function samplesOf(samples: readonly Sample[], name: SubjectName): readonly Sample[] {
  return samples.filter((sample) => sample.subject === name);
}

/** A subject's rate as a part of another's, each round by itself: what the machine did to one, it did to the other. */
export function ratio(
  samples: readonly Sample[],
  name: SubjectName,
  base: SubjectName,
  valueOf: (sample: Sample) => number | undefined = ({ perSecond }) => perSecond,
): Figure | undefined {
  const bases = new Map(samplesOf(samples, base).map((sample) => [sample.round, valueOf(sample)]));
  return figure(
    samplesOf(samples, name).map((sample) => {
      const [value, of] = [valueOf(sample), bases.get(sample.round)];
      return value === undefined || of === undefined || of === 0 ? undefined : value / of;
    }),
  );
}

export interface Results {
  readonly samples: readonly Sample[];
  readonly firstStartsMs: readonly number[];
  /** Undefined when it was not measured. */
  readonly storing?: Storing | undefined;
  readonly scale?: Scale | undefined;
  readonly costs?: Costs | undefined;
  readonly statistics?: Statistics | undefined;
}

/** The goal of every figure that has one; the median is judged. */
export interface Goal {
  readonly what: string;
  readonly wanted: string;
  readonly seen: Figure | undefined;
  readonly met: boolean | undefined;
  readonly show: (value: number) => string;
}

export const BATCH_OF_NGINX = 0.25;
export const ASYNC_OF_NGINX = 0.45;
export const STREAM_OF_NGINX = 0.45;
const STREAM_OF_NO_CLICKS = 0.75;
const CREATES_PER_SECOND = 5_000;
const RESIDENT_MEGABYTES = 200;
const FIRST_START_SECONDS = 3;
const LATER_START_SECONDS = 1.5;

export function judgeGoals(results: Results): Goal[] {
  return [
    ...judgeServing(results),
    ...judgeScale(results),
    ...judgeCosts(results),
    ...judgeStoring(results),
    ...judgeStatistics(results),
  ];
}

function judgeServing({ samples, firstStartsMs }: Results): Goal[] {
  const hops = samples.flatMap((sample) => sample.hop ?? []);
  const resident = samplesOf(samples, "batch").map(
    ({ hop }) => hop?.residentBytes && hop.residentBytes / 1e6,
  );
  const later = hops.map((hop) => toSeconds(hop.readyMs));
  return [
    atLeast("default (durable clicks), part of nginx", BATCH_OF_NGINX, ratio(samples, "batch", "nginx")),
    atLeast("`HOP_CLICKS_ACK=async`, part of nginx", ASYNC_OF_NGINX, ratio(samples, "async", "nginx")),
    ...judgeStream(samples, ""),
    ...judgeStream(samples, "-1k"),
    atLeast(
      "creates",
      CREATES_PER_SECOND,
      figure(samplesOf(samples, "creates").map((sample) => sample.perSecond)),
      perSecond,
    ),
    atMost(
      "memory of the hop process (VmRSS after a run)",
      RESIDENT_MEGABYTES,
      figure(resident),
      decimals(0, " MB"),
    ),
    atMost(
      "ready after a first start, data directory empty",
      FIRST_START_SECONDS,
      figure(firstStartsMs.map(toSeconds)),
      decimals(2, " s"),
    ),
    atMost(
      "ready after a later start, with the links and clicks",
      LATER_START_SECONDS,
      figure(later),
      decimals(2, " s"),
    ),
  ];
}

function judgeStream(samples: readonly Sample[], many: "" | "-1k"): Goal[] {
  const what = many === "" ? "with Redis (durable clicks)" : "the same with 1,000 connections";
  return [
    atLeast(`${what}, part of nginx`, STREAM_OF_NGINX, ratio(samples, `stream${many}`, `nginx${many}`)),
    atLeast(
      `${what}, part of the same server without clicks`,
      STREAM_OF_NO_CLICKS,
      ratio(samples, `stream${many}`, `stream-off${many}`),
    ),
  ];
}

const MANY_LINKS_OF_FEW = 0.85;
const CACHED_MEGABYTES = 250;

/** Round by round: the same moment, a thousand times as many links. */
export function manyOfFew({ few, many }: Scale): Figure | undefined {
  return figure(
    many.perSecond.map((perSecond, round) => {
      const base = few.perSecond[round];
      return base === undefined ? undefined : perSecond / base;
    }),
  );
}

function judgeScale({ scale }: Results): Goal[] {
  return [
    atLeast(
      "redirects with 1,000,000 links, part of those with 1,000",
      MANY_LINKS_OF_FEW,
      scale && manyOfFew(scale),
    ),
    atMost(
      "memory of a process with 100,000 links in its cache (VmRSS)",
      CACHED_MEGABYTES,
      figure([scale?.cached.residentBytes && scale.cached.residentBytes / 1e6]),
      decimals(0, " MB"),
    ),
  ];
}

const METRICS_PERCENT = 3;
const NOTHING_PERCENT = 1;

function judgeCosts({ costs }: Results): Goal[] {
  const show = decimals(1, " %");
  const nothing = percents(costs?.nothing);
  return [
    atMost("metrics, of the throughput of redirects", METRICS_PERCENT, percents(costs?.metrics), show),
    {
      what: "tracing that is off, of the throughput of redirects",
      wanted: `within ± ${show(NOTHING_PERCENT)}`,
      seen: nothing,
      met: nothing && Math.abs(nothing.median) <= NOTHING_PERCENT,
      show,
    },
  ];
}

const STORED_PER_SECOND = 60_000;
const WORKER_MEGABYTES = 200;
const REDIS_BYTES_PER_CLICK = 120;

function judgeStoring({ storing }: Results): Goal[] {
  return [
    atLeast(
      "one `hop work`, clicks that became rows and totals",
      STORED_PER_SECOND,
      figure([storing?.rowsPerSecond]),
      perSecond,
    ),
    atMost(
      "memory of `hop work` at its peak (VmHWM)",
      WORKER_MEGABYTES,
      figure([storing?.peakBytes && storing.peakBytes / 1e6]),
      decimals(0, " MB"),
    ),
    atMost(
      "memory of Redis for a click that waits",
      REDIS_BYTES_PER_CLICK,
      figure([storing?.bytesPerClick]),
      decimals(0, " bytes"),
    ),
  ];
}

const STATISTICS_P99_MS = 50;
const STATISTICS_GROWTH = 1.5;

function judgeStatistics({ statistics }: Results): Goal[] {
  const { few, many } = statistics ?? {};
  return [
    atMost(
      "statistics of the popular link among all clicks, p99",
      STATISTICS_P99_MS,
      figure([many?.p99Ms]),
      decimals(1, " ms"),
    ),
    atMost(
      "the same with a hundred times as many clicks, growth of p50",
      STATISTICS_GROWTH,
      figure([few && many && many.p50Ms / few.p50Ms]),
      decimals(2, ""),
    ),
    atMost(
      "the same, growth of p99",
      STATISTICS_GROWTH,
      figure([few && many && many.p99Ms / few.p99Ms]),
      decimals(2, ""),
    ),
  ];
}

function percents(parts: readonly number[] = []): Figure | undefined {
  return figure(parts.map((part) => part * 100));
}

function toSeconds(ms: number): number {
  return ms / 1_000;
}

function decimals(digits: number, unit: string): Goal["show"] {
  return (value) => `${value.toFixed(digits)}${unit}`;
}

function perSecond(value: number): string {
  return `${Math.round(value).toLocaleString("en")}/s`;
}

function atLeast(
  what: string,
  goal: number,
  seen: Figure | undefined,
  show = (value: number) => value.toFixed(2),
): Goal {
  return { what, wanted: `≥ ${show(goal)}`, seen, met: seen && seen.median >= goal, show };
}

function atMost(what: string, goal: number, seen: Figure | undefined, show: Goal["show"]): Goal {
  return { what, wanted: `≤ ${show(goal)}`, seen, met: seen && seen.median <= goal, show };
}
