// What is measured, in the order of the page.
import type { HopSettings } from "./hop.ts";

export const SUBJECT_NAMES = ["nginx", "bun", "async", "batch", "v0.1", "creates"] as const;
export type SubjectName = (typeof SUBJECT_NAMES)[number];

export interface Subject {
  readonly name: SubjectName;
  readonly title: string;
  readonly load: "redirects" | "creates";
  /** Undefined for what hop is compared with. */
  readonly hop: HopSettings | undefined;
}

const DEFAULT: HopSettings = { args: [], env: {} };

export const SUBJECTS: readonly Subject[] = [
  { name: "nginx", title: "nginx, `return 302`", load: "redirects", hop: undefined },
  { name: "bun", title: "`Bun.serve` that only redirects", load: "redirects", hop: undefined },
  {
    name: "async",
    title: "hop, `HOP_CLICKS_ACK=async`",
    load: "redirects",
    hop: { args: [], env: { HOP_CLICKS_ACK: "async" } },
  },
  { name: "batch", title: "hop, default: every click durable", load: "redirects", hop: DEFAULT },
  {
    name: "v0.1",
    title: "hop, `--preset v0.1`: the baseline",
    load: "redirects",
    hop: { args: ["--preset", "v0.1"], env: {} },
  },
  { name: "creates", title: "hop, creates: `POST /api/v1/links`", load: "creates", hop: DEFAULT },
];
