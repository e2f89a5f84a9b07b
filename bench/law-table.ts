// The sanity laws on the page.
import type { Results } from "./figures.ts";
import type { Law } from "./laws.ts";
import { table } from "./markdown.ts";

const MEANINGS: Record<Law["name"], string> = {
  errors: "no socket error, timeout or status above 399",
  Little:
    "Little's law: X·R requests in flight are one a connection, or fewer where wrk itself was the limit",
  quiet: "other programs and the kernel's own work took at most 10 % of the machine",
  counts: "hop counted what wrk received, and at most one more a connection that wrk hung up on",
  statistics: "statistics answer what the rows say: clicks, their sum over a dimension, visitors",
  ledger: "the ledger balances: served = stored + dropped for a reason",
};

/** How often each law held; every run that broke one, by name. */
export function lawTable(results: Results): string[] {
  const names: readonly Law["name"][] = ["errors", "Little", "quiet", "counts", "statistics", "ledger"];
  const all = lawsOf(results);
  const rows = names.flatMap((name) => {
    const own = all.filter((law) => law.name === name);
    if (own.length === 0) return [];
    const broken = own.filter((law) => !law.holds);
    const detail = broken.map(({ run, seen }) => `${run}: ${seen}`).join("; ");
    return [
      [
        MEANINGS[name],
        `${own.length - broken.length} of ${own.length}`,
        broken.length === 0 ? "holds" : `**broken** ${detail}`,
      ],
    ];
  });
  return table(["sanity law", "checks that held", ""], rows);
}

/** Of every run, with its name. */
export function lawsOf({
  samples,
  storing,
  scale,
  costs,
  statistics,
}: Results): (Law & { readonly run: string })[] {
  return [
    ...samples.flatMap(({ laws, round, subject }) =>
      laws.map((law) => ({ ...law, run: `round ${round} ${subject}` })),
    ),
    ...(storing?.laws ?? []).map((law) => ({ ...law, run: "storing" })),
    ...(scale?.laws ?? []).map((law) => ({ ...law, run: "scale" })),
    ...(costs?.laws ?? []).map((law) => ({ ...law, run: "costs" })),
    ...(statistics?.laws ?? []).map((law) => ({ ...law, run: "statistics" })),
  ];
}
