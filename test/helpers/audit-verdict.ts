// What the answer of `npm audit --json` means: nothing known, known weaknesses, or no answer at all.
import { z } from "zod";

export interface AuditVerdict {
  /** "undone": the registry does not answer audits. "unreadable": npm said something else, which may hide a weakness. */
  readonly outcome: "clean" | "weak" | "undone" | "unreadable";
  /** For people; the first says it all. */
  readonly lines: readonly string[];
}

const SEVERITIES = ["info", "low", "moderate", "high", "critical"] as const;
/** What fails; below it is only told. */
const WEAK: ReadonlySet<string> = new Set(["moderate", "high", "critical"]);

const reportSchema = z.object({
  auditReportVersion: z.number(),
  vulnerabilities: z.record(
    z.string(),
    z.object({
      severity: z.enum(SEVERITIES),
      range: z.string(),
      via: z.array(z.union([z.string(), z.object({ title: z.string(), url: z.string().optional() })])),
    }),
  ),
  metadata: z.object({ dependencies: z.object({ total: z.number() }) }),
});

/** npm's own words for a registry that does not do audits, refuses, or is not there. */
const unansweredSchema = z.object({ message: z.string().min(1), error: z.object({}) });
/** And for what is wrong here, such as a missing lock file. */
const failureSchema = z.object({ error: z.object({ summary: z.string().min(1) }) });

/**
 * @param output what `npm audit --json` printed
 * @param complaint what it printed to stderr, for when the output says nothing
 */
export function judgeAudit(output: string, complaint: string): AuditVerdict {
  const answer = readJson(output);
  const report = reportSchema.safeParse(answer);
  if (!report.success) return withoutReport(answer, complaint);
  const { vulnerabilities, metadata } = report.data;
  const found = Object.entries(vulnerabilities).map(([name, { severity, range, via }]) => {
    const titles = via.flatMap((each) => (typeof each === "string" ? [`through ${each}`] : [told(each)]));
    return { severity, line: `${severity}: ${name} ${range}: ${titles.join("; ")}` };
  });
  const weak = found.filter(({ severity }) => WEAK.has(severity));
  const minor = found.length - weak.length;
  const summary =
    weak.length > 0
      ? `audit: packages with known weaknesses: ${weak.length}; update them`
      : `audit: no weakness of moderate severity or more is known in ${metadata.dependencies.total} packages`;
  return {
    outcome: weak.length > 0 ? "weak" : "clean",
    lines: [minor > 0 ? `${summary} (${minor} minor)` : summary, ...found.map(({ line }) => line)],
  };
}

function told({ title, url }: { title: string; url?: string | undefined }): string {
  return url === undefined ? title : `${title} (${url})`;
}

function withoutReport(answer: unknown, complaint: string): AuditVerdict {
  const unanswered = unansweredSchema.safeParse(answer);
  if (unanswered.success)
    return { outcome: "undone", lines: [line("could not be done", unanswered.data.message)] };
  const failure = failureSchema.safeParse(answer);
  const said = failure.success ? failure.data.error.summary : (complaint.trim().split("\n")[0] ?? "");
  return { outcome: "unreadable", lines: [line("gave no report", said || "npm said nothing")] };
}

/** The address of a registry is nobody's business but the operator's. */
function line(what: string, reason: string): string {
  return `audit ${what}: ${reason.replace(/https?:\/\/\S+/g, "the registry").trim()}`;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
