// What is measured, in the order of the page. A preset is a line: its name here and its subject below.
import type { HopSettings } from "./hop.ts";

export const SUBJECT_NAMES = [
  "nginx",
  "bun",
  "async",
  "stream",
  "stream-off",
  "batch",
  "v0.3",
  "v0.1",
  "creates",
] as const;
export type SubjectName = (typeof SUBJECT_NAMES)[number];

/** What can be measured by itself: the subjects, then how clicks are stored and how statistics are read. */
export const PART_NAMES = [...SUBJECT_NAMES, "storing", "statistics"] as const;
export type PartName = (typeof PART_NAMES)[number];

/** Statistics fill a table for minutes, so they are measured when they are asked for. */
export const DEFAULT_PARTS: readonly PartName[] = [...SUBJECT_NAMES, "storing"];

export interface Subject {
  readonly name: SubjectName;
  readonly title: string;
  /** `prefetches` are redirects that hop does not count: what is left of a redirect without its click. */
  readonly load: "redirects" | "prefetches" | "creates";
  /** Undefined for what hop is compared with. */
  readonly hop: HopSettings | undefined;
}

const DEFAULT: HopSettings = { args: [], env: {} };
/** The default once there is a Redis. */
const STREAM: HopSettings = { args: [], env: {}, stream: true };

export const SUBJECTS: readonly Subject[] = [
  { name: "nginx", title: "nginx, `return 302`", load: "redirects", hop: undefined },
  { name: "bun", title: "`Bun.serve` that only redirects", load: "redirects", hop: undefined },
  {
    name: "async",
    title: "hop, `HOP_CLICKS_ACK=async`",
    load: "redirects",
    hop: { args: [], env: { HOP_CLICKS_ACK: "async" } },
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
  preset("v0.3", "clicks through a stream", true),
  preset("v0.1", "the baseline"),
  { name: "creates", title: "hop, creates: `POST /api/v1/links`", load: "creates", hop: DEFAULT },
];

/** A version of the ladder (docs/plan.md). */
function preset(name: Extract<SubjectName, `v${string}`>, adds: string, stream?: true): Subject {
  const hop: HopSettings = { args: ["--preset", name], env: {}, ...(stream && { stream }) };
  return { name, title: `hop, \`--preset ${name}\`: ${adds}`, load: "redirects", hop };
}
