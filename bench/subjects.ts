// What is measured, in the order of the page. A preset is a line: its name here and its subject below.
import type { HopSettings } from "./hop.ts";
import { MANY_CONNECTIONS } from "./wrk.ts";

export const SUBJECT_NAMES = [
  "nginx",
  "bun",
  "async",
  "async-general",
  "stream",
  "stream-off",
  "batch",
  "batch-2",
  "v0.4",
  "v0.3",
  "v0.2x4",
  "v0.2x2",
  "v0.2x1",
  "v0.1",
  "creates",
  "nginx-1k",
  "bun-1k",
  "stream-1k",
  "stream-off-1k",
] as const;
export type SubjectName = (typeof SUBJECT_NAMES)[number];

/** What can be measured by itself: the subjects, then how clicks are stored, what many links do, what is
 * observed costs, and how statistics are read. */
export const PART_NAMES = [...SUBJECT_NAMES, "storing", "scale", "costs", "statistics"] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface Subject {
  readonly name: SubjectName;
  readonly title: string;
  /** `prefetches` are redirects that hop does not count: what is left of a redirect without its click. */
  readonly load: "redirects" | "prefetches" | "creates";
  /** Undefined for what hop is compared with. */
  readonly hop: HopSettings | undefined;
  /** CONNECTIONS where nothing is said. */
  readonly connections?: number;
  /** Measured for about half as long: what needs no goal's precision, so that all of it stays a matter of minutes. */
  readonly short?: true;
}

/** Whole seconds, which is what wrk takes. */
export function durations(seconds: number, { short }: Pick<Subject, "short">) {
  if (!short) return { warmUp: seconds, measured: seconds };
  return { warmUp: Math.ceil(seconds * SHORT_WARM_UP), measured: Math.ceil(seconds * SHORT_MEASURED) };
}

const SHORT_WARM_UP = 0.4;
const SHORT_MEASURED = 0.6;

const DEFAULT: HopSettings = { args: [], env: {} };
/** The default once there is a Redis. */
const STREAM: HopSettings = { args: [], env: {}, stream: true };

const WITH_FEW: readonly Subject[] = [
  { name: "nginx", title: "nginx, `return 302`", load: "redirects", hop: undefined, short: true },
  { name: "bun", title: "`Bun.serve` that only redirects", load: "redirects", hop: undefined, short: true },
  {
    name: "async",
    title: "hop, `HOP_CLICKS_ACK=async`",
    load: "redirects",
    hop: { args: [], env: { HOP_CLICKS_ACK: "async" } },
  },
  {
    name: "async-general",
    title: "the same, `HOP_FAST_PATH=off`",
    load: "redirects",
    hop: { args: [], env: { HOP_CLICKS_ACK: "async", HOP_FAST_PATH: "off" } },
  },
  {
    name: "stream",
    title: "hop with Redis: every click durable in a stream, stored by a worker beside it",
    load: "redirects",
    hop: STREAM,
  },
  {
    name: "stream-off",
    title: "the same, asked with `Sec-Purpose: prefetch`: no clicks",
    load: "prefetches",
    hop: STREAM,
  },
  { name: "batch", title: "hop, default: every click durable", load: "redirects", hop: DEFAULT },
  {
    name: "batch-2",
    title: "hop, default, `--workers 2`",
    load: "redirects",
    hop: { args: ["--workers", "2"], env: {} },
  },
  preset("v0.4", "caches in the process and in Redis", STREAM),
  preset("v0.3", "clicks through a stream", STREAM),
  ...([4, 2, 1] as const).map((workers) => processes(workers)),
  preset("v0.1", "the baseline", DEFAULT),
  { name: "creates", title: "hop, creates: `POST /api/v1/links`", load: "creates", hop: DEFAULT },
];

/** The same again with many connections, one after another. */
const MANY = ["nginx", "bun", "stream", "stream-off"] as const;

export const SUBJECTS: readonly Subject[] = [
  ...WITH_FEW,
  ...MANY.flatMap((name) =>
    WITH_FEW.filter((subject) => subject.name === name).map((subject): Subject => ({
      ...subject,
      name: `${name}-1k`,
      connections: MANY_CONNECTIONS,
    })),
  ),
];

export function isNginx({ name }: Subject): boolean {
  return name === "nginx" || name === "nginx-1k";
}

/** A version of the ladder (docs/plan.md). */
function preset(name: "v0.1" | "v0.3" | "v0.4", adds: string, { stream }: HopSettings): Subject {
  const hop: HopSettings = { args: ["--preset", name], env: {}, ...(stream && { stream }) };
  const title = `hop, \`--preset ${name}\`: ${adds}`;
  // A cache has to be filled before it is measured, and that takes the whole warm-up.
  return { name, title, load: "redirects", hop, ...(name !== "v0.4" && { short: true }) };
}

/** What v0.2 adds to throughput are processes, so it is measured with several numbers of them. */
function processes(workers: 1 | 2 | 4): Subject {
  const args = ["--preset", "v0.2", "--workers", String(workers)];
  return {
    name: `v0.2x${workers}`,
    title: `hop, \`${args.join(" ")}\``,
    load: "redirects",
    hop: { args, env: {} },
    short: true,
  };
}
