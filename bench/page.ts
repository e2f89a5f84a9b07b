// docs/benchmarks.md, made from one run.
import { DAYS, LINKS } from "./click-filler.ts";
import { figure, type Goal, judgeGoals, ratio, samplesOf } from "./figures.ts";
import { COSTS_METHOD, costsTable } from "./costs-table.ts";
import { ladderTable } from "./ladder.ts";
import { lawTable } from "./law-table.ts";
import { clientShare, inFlight } from "./laws.ts";
import { storingTable, statisticsTable } from "./part-tables.ts";
import { SCALE_METHOD, scaleTable } from "./scale-table.ts";
import type { Sample } from "./measure.ts";
import { maybe, ms, NOTHING, percent, table, whole, withRange } from "./markdown.ts";
import type { BenchResults } from "./run.ts";
import { durations, type Subject, SUBJECTS } from "./subjects.ts";
import { ROLES } from "./window.ts";
import { CONNECTIONS, MANY_CONNECTIONS } from "./wrk.ts";

export interface PageOptions {
  /** As it can be typed again. */
  readonly command: string;
  readonly seconds: number;
  readonly repeats: number;
  readonly links: number;
}

/** The tables alone: what the command prints. */
export function resultsOf(results: BenchResults): string {
  const measured = SUBJECTS.filter(({ name }) => samplesOf(results.samples, name).length > 0);
  const missing =
    measured.length === 0 || measured.some(({ name }) => name === "nginx")
      ? []
      : ["nginx was not measured in this run.", ""];
  return [
    ...subjectTable(CONNECTIONS, measured, results.samples),
    ...missing,
    ...subjectTable(MANY_CONNECTIONS, measured, results.samples),
    ...ladderTable(results.samples),
    ...storingTable(results),
    ...scaleTable(results),
    ...costsTable(results),
    ...statisticsTable(results),
    ...table(["goal", "wanted", "seen: median (range)", ""], judgeGoals(results).map(goalRow)),
    ...lawTable(results),
  ].join("\n");
}

export function pageOf(results: BenchResults, options: PageOptions): string {
  const { command, seconds, repeats, links } = options;
  const short = durations(seconds, { short: true });
  return `<!-- Made by \`hop bench\`: run it instead of editing this. -->

# Benchmarks

One run of \`${command}\` on ${results.finishedAt.toISOString().slice(0, 16).replace("T", " ")} UTC. Numbers compare
within one run on one machine and nowhere else: look at the ratios.

![Redirects a second, by server](benchmarks.svg)

${resultsOf(results)}

## Method

Each of ${repeats} rounds starts every server afresh, one at a time and in an order that turns by one each round, warms
it up for ${seconds} s and measures it for ${seconds} s with wrk: one thread, ${CONNECTIONS} keep-alive connections or ${MANY_CONNECTIONS.toLocaleString("en")}, no
pipelining, four browsers' User-Agents. The warm-up asks for each of ${links.toLocaleString("en")} links in turn, and is repeated where a
cache is filled until it has got round; the measurement draws them by Zipf's law (exponent 1). All servers get the same requests. hop runs as \`hop serve\` does, with
its embedded Postgres, \`fsync\` on; its links are made through its API. The nginx is one process that answers everything
with one \`return 302\`; the bare \`Bun.serve\` answers with hop's headers; neither looks anything up nor counts.
With Redis, clicks go through a stream (\`appendonly yes\`, \`appendfsync everysec\`, at a Unix socket) and one \`hop work\` stores them while
hop serves; the same server is asked with \`Sec-Purpose: prefetch\` to see what it does without clicks.
What is short (nginx, the bare \`Bun.serve\`, the versions of the ladder without a cache; a round of many links and of costs) is warmed up for ${short.warmUp} s and
measured for ${short.measured} s, so that a run takes minutes. \`--workers N\` is a supervisor and N processes that share the port; CPU and
memory are those of all of them. A version is set beside the one before it, each round by itself: rounds that do not agree on
which of the two is more, or less than 3 % between them, are "no difference", which is a result too.
Figures are medians over the rounds with their range; a ratio is taken within each round. After each run hop is
stopped and \`hop ledger\` must balance: every redirect served is a click stored.

Storing: hop is loaded for ${seconds * 3} s while no worker runs, with user agents of 500 kinds by Zipf's law; then one \`hop work\`
stores what is in the stream. Its clicks are durable once they are out of the stream, and rows once the hourly totals have
them. COPY takes the same rows from a file into an empty table of the same shape, in the server, without a client.

${SCALE_METHOD}

${COSTS_METHOD}

Statistics: a hop of its own gets clicks of the last ${DAYS} days in the queue where a
worker puts them, and makes its rows and rollups from them; they are of ${LINKS} links by Zipf's law, so that a tenth is of one.
Then that link is asked for over HTTP, 1,440 times one after the other: hours of a week, days of two months, months of a
year, by every dimension, with bots and without, after \`VACUUM ANALYZE\`. First its totals must equal what is counted from rows.

## Limits

- Client, server and Postgres share the same cores. Where wrk's CPU is near 100 % (see below) wrk is the limit, and
  that server could do more; on this page that favours hop in its ratio to nginx and to the bare \`Bun.serve\`.
- wrk is a closed loop: a slow answer delays the next question, so these latencies are those of a server under as much
  load as so many connections can make, not those of a visitor, and they hide stalls (coordinated omission).
- The warm-up leaves every link in the process cache, the hit ratio is below. In production an entry is read again after
  \`HOP_CACHE_TTL_MS\`, and links outnumber the cache.
- The worker of \`hop with Redis\` and Postgres share the two cores with the server, wrk and Redis; a fleet would not.
- The raw COPY writes no ledger and no totals, and reads nothing from Redis: it is a bound, not a rival.
- Dimensions and unique visitors, which follow every 30 s (\`HOP_DIMENSIONS_INTERVAL_MS\`), are left out of the runs of redirects and of storing, where a
  round would fall into some and not into others: what they cost is in how long the table of the statistics takes to fill, and in no other number.
- Statistics are asked for while nothing else happens, and after the rollups have come to rest.
- Loopback has no network, and ${seconds} s show no checkpoint, no vacuum and no full disk.

## Where

${table(["", ""], [...results.surroundings]).join("\n")}
## Every run

${table(
  [
    "round",
    "server",
    "per second",
    "p50",
    "p99",
    "max",
    "in flight",
    "CPU of wrk",
    "CPU of others",
    "cache hits",
    "clicks a batch",
    "dropped",
    "memory",
    "ready after",
  ],
  results.samples.map(runRow),
).join("\n")}
${results.disturbed} runs were measured again because something else used more than 10 % of the machine meanwhile.
`;
}

/** Of those that were measured with so many connections. */
function subjectTable(
  connections: number,
  measured: readonly Subject[],
  samples: readonly Sample[],
): string[] {
  const subjects = measured.filter((subject) => (subject.connections ?? CONNECTIONS) === connections);
  if (subjects.length === 0) return [];
  return table(
    [
      `${connections.toLocaleString("en")} connections; one process where nothing else is said`,
      "per second: median (range)",
      "p50",
      "p99",
      "of nginx",
      "of bare Bun.serve",
      "CPU a request: server (all processes) + Postgres + worker + Redis",
    ],
    subjects.map((subject) => subjectRow(subject, samples)),
  );
}

function subjectRow({ name, title, connections }: Subject, samples: readonly Sample[]): string[] {
  const own = samplesOf(samples, name);
  const middle = (value: (sample: Sample) => number | undefined, show: (value: number) => string) => {
    const found = figure(own.map(value));
    return found === undefined ? undefined : show(found.median);
  };
  const part = (reference: "nginx" | "bun") => {
    const base = connections === undefined ? reference : (`${reference}-1k` as const);
    return name === base || name === "creates"
      ? NOTHING
      : withRange(ratio(samples, name, base), (value) => value.toFixed(2));
  };
  const cpu = ROLES.flatMap(
    (role) =>
      middle(
        (sample) => sample.cpuUs[role],
        (us) => `${us.toFixed(1)} µs`,
      ) ?? [],
  );
  return [
    title,
    withRange(figure(own.map((sample) => sample.perSecond)), whole),
    middle((sample) => sample.report.latencyMs.p50, ms) ?? NOTHING,
    middle((sample) => sample.report.latencyMs.p99, ms) ?? NOTHING,
    part("nginx"),
    part("bun"),
    cpu.length === 0 ? NOTHING : cpu.join(" + "),
  ];
}

function goalRow({ what, wanted, seen, met, show }: Goal): string[] {
  return [what, wanted, withRange(seen, show), met === undefined ? "not judged" : met ? "met" : "**missed**"];
}

function runRow(sample: Sample): string[] {
  const { round, subject, perSecond, othersShare, report, hop } = sample;
  return [
    String(round),
    subject,
    whole(perSecond),
    ms(report.latencyMs.p50),
    ms(report.latencyMs.p99),
    ms(report.latencyMs.max),
    inFlight(report).toFixed(1),
    percent(clientShare(report)),
    maybe(othersShare, percent),
    maybe(hop?.hitRatio, percent),
    maybe(hop?.clicksPerBatch, (clicks) => clicks.toFixed(1)),
    maybe(hop?.droppedClicks, whole),
    maybe(hop?.residentBytes, (bytes) => `${(bytes / 1e6).toFixed(0)} MB`),
    maybe(hop?.readyMs, (time) => `${(time / 1_000).toFixed(2)} s`),
  ];
}
