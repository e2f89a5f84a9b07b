// What `hop doctor` finds: one thing that was looked at, how it is, and how to mend it.
import { reasonOf } from "../lib/errors.ts";
import { withDeadline } from "../lib/deadline.ts";

/** `warn`: hop runs, and some day somebody will wish it had been mended. `fail`: hop does not run, or breaks a promise. */
export type Status = "ok" | "warn" | "fail";

export interface Finding {
  /** A word or two, such as `database version`. */
  readonly name: string;
  readonly status: Status;
  /** What is so, without secrets. */
  readonly says: string;
  /** What to do; only where something is wrong. */
  readonly mend?: string;
}

export const ok = (name: string, says: string): Finding => ({ name, status: "ok", says });

export const warn = (name: string, says: string, mend: string): Finding => ({
  name,
  status: "warn",
  says,
  mend,
});

export const fail = (name: string, says: string, mend: string): Finding => ({
  name,
  status: "fail",
  says,
  mend,
});

/** Looks at several things of one kind. */
export type Examination = () => Promise<readonly Finding[]>;

/** Somebody waits in front of the screen. */
export const PATIENCE_MS = 5_000;
/** Several questions, and a Postgres that may have to be started. */
const EXAMINATION_MS = 60_000;

/** An examination that breaks off is a finding as well. */
export async function examine(name: string, look: Examination): Promise<readonly Finding[]> {
  try {
    return await withDeadline(look(), EXAMINATION_MS, "looking");
  } catch (error) {
    return [fail(name, reasonOf(error), "mend that and run hop doctor again")];
  }
}

/** The worst of all. */
export function worst(findings: readonly Finding[]): Status {
  if (findings.some(({ status }) => status === "fail")) return "fail";
  return findings.some(({ status }) => status === "warn") ? "warn" : "ok";
}
