// docs/benchmarks.svg: redirects a second, one bar a server, with its range and its goal.
import {
  ASYNC_OF_NGINX,
  BATCH_OF_NGINX,
  type Figure,
  figure,
  type Results,
  samplesOf,
  STREAM_OF_NGINX,
} from "./figures.ts";
import { SUBJECTS, type SubjectName } from "./subjects.ts";

const WIDTH = 760;
const LEFT = 220;
/** Right of the longest bar: its number. */
const RIGHT = 100;
const TOP = 48;
const ROW = 44;
const BAR = 24;
const BOTTOM = 30;

const LABELS: Partial<Record<SubjectName, readonly [name: string, detail: string]>> = {
  nginx: ["nginx", "return 302"],
  bun: ["Bun.serve", "redirects, nothing else"],
  async: ["hop, async", "answers, then stores"],
  "async-general": ["the same, no fast path", "answers, then stores"],
  stream: ["hop with Redis", "into a stream, then answers"],
  "stream-off": ["the same, no clicks", "only answers"],
  batch: ["hop, default", "stores, then answers"],
  "batch-2": ["hop, default, 2 processes", "stores, then answers"],
  "v0.4": ["hop, preset v0.4", "a stream and caches"],
  "v0.3": ["hop, preset v0.3", "a stream, no cache"],
  "v0.2x4": ["hop, preset v0.2", "4 processes"],
  "v0.2x2": ["hop, preset v0.2", "2 processes"],
  "v0.2x1": ["hop, preset v0.2", "1 process"],
  "v0.1": ["hop, preset v0.1", "one INSERT a click"],
};
const GOALS: Partial<Record<SubjectName, number>> = {
  async: ASYNC_OF_NGINX,
  stream: STREAM_OF_NGINX,
  batch: BATCH_OF_NGINX,
};

/** Readers choose light or dark; GitHub passes their choice on to an image. */
const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .detail, .axis { font-size: 11px; fill: #656d76; }
  .value { font-weight: 600; }
  .grid { stroke: #d8dee4; }
  .reference { fill: #9aa4af; }
  .hop { fill: #0b7a75; }
  .range { stroke: #1f2328; stroke-width: 1.5; }
  .goal { stroke: #bc4c00; stroke-width: 2; stroke-dasharray: 4 3; }
  .goal-text { font-size: 11px; fill: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .detail, .axis { fill: #9198a1; }
    .grid { stroke: #30363d; }
    .reference { fill: #6e7681; }
    .hop { fill: #2bb3a8; }
    .range { stroke: #e6edf3; }
    .goal { stroke: #f0883e; }
    .goal-text { fill: #f0883e; }
  }
`;

interface Row {
  readonly name: SubjectName;
  readonly rate: Figure;
}

export function chartOf({ samples }: Results): string {
  const rows: Row[] = SUBJECTS.filter(
    ({ load, connections }) => load !== "creates" && connections === undefined,
  ).flatMap(({ name }) => {
    const rate = figure(samplesOf(samples, name).map((sample) => sample.perSecond));
    return rate === undefined ? [] : [{ name, rate }];
  });
  const step = niceStep(Math.max(1, ...rows.map((row) => row.rate.max)) / 6);
  const end = step * Math.ceil(Math.max(1, ...rows.map((row) => row.rate.max)) / step);
  const x = (value: number) => round(LEFT + (value / end) * (WIDTH - LEFT - RIGHT));
  const bottom = TOP + rows.length * ROW;
  const nginx = rows.find((row) => row.name === "nginx")?.rate.median;
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + BOTTOM}" role="img" aria-label="${describe(rows)}">
<style>${STYLE}</style>
<text class="title" x="12" y="24">Redirects a second, 64 connections, one process where nothing else is said</text>
${ticks
  .map(
    (tick) => `<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${TOP - 6}" y2="${bottom}"/>
<text class="axis" x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${shorten(tick)}</text>`,
  )
  .join("\n")}
${rows.map((row, index) => drawRow(row, TOP + index * ROW, x, nginx)).join("\n")}
</svg>
`;
}

function drawRow(
  { name, rate }: Row,
  top: number,
  x: (value: number) => number,
  nginx: number | undefined,
): string {
  const [title, detail] = LABELS[name] ?? [name, ""];
  const middle = top + BAR / 2 + 2;
  const kind = name === "nginx" || name === "bun" ? "reference" : "hop";
  const goal = GOALS[name];
  const parts = [
    `<text x="${LEFT - 12}" y="${middle - 1}" text-anchor="end">${title}</text>`,
    `<text class="detail" x="${LEFT - 12}" y="${middle + 13}" text-anchor="end">${detail}</text>`,
    `<rect class="${kind}" x="${LEFT}" y="${top + 2}" width="${round(Math.max(1, x(rate.median) - LEFT))}" height="${BAR}" rx="2"/>`,
    `<line class="range" x1="${x(rate.min)}" x2="${x(rate.max)}" y1="${middle}" y2="${middle}"/>`,
    ...[rate.min, rate.max].map(
      (limit) =>
        `<line class="range" x1="${x(limit)}" x2="${x(limit)}" y1="${middle - 4}" y2="${middle + 4}"/>`,
    ),
  ];
  let clear = x(rate.max);
  if (goal !== undefined && nginx !== undefined) {
    const at = x(goal * nginx);
    parts.push(
      `<line class="goal" x1="${at}" x2="${at}" y1="${top - 3}" y2="${top + BAR + 7}"/>`,
      `<text class="goal-text" x="${at + 4}" y="${top + BAR + 13}">goal: ${goal} of nginx</text>`,
    );
    // The number stands right of whatever reaches furthest.
    clear = Math.max(clear, at);
  }
  parts.push(
    `<text class="value" x="${clear + 8}" y="${middle + 4}">${Math.round(rate.median).toLocaleString("en")}</text>`,
  );
  return parts.join("\n");
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}

function shorten(value: number): string {
  return value >= 1_000 ? `${value / 1_000}k` : String(value);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function describe(rows: readonly Row[]): string {
  return rows
    .map(({ name, rate }) => `${LABELS[name]?.[0] ?? name}: ${Math.round(rate.median)} a second`)
    .join("; ");
}
