// What each version of the ladder changed against the one before it, in words that follow from the figures.
import { type Figure, ratio, samplesOf } from "./figures.ts";
import { NOTHING, table, withRange } from "./markdown.ts";
import type { Sample } from "./measure.ts";
import { SUBJECTS, type SubjectName } from "./subjects.ts";

/** One version beside another: the settings differ in what `adds` says. */
interface Step {
  readonly name: SubjectName;
  readonly against: SubjectName;
  readonly adds: string;
}

/** The names of versions as the page calls them. */
const CALLED: Partial<Record<SubjectName, string>> = {
  "v0.2x1": "v0.2, 1 process",
  "v0.2x2": "v0.2, 2 processes",
  "v0.2x4": "v0.2, 4 processes",
  stream: "today's default with Redis",
  batch: "today's default without Redis",
  async: "today's default without Redis, `HOP_CLICKS_ACK=async`",
};

const STEPS: readonly Step[] = [
  { name: "v0.2x1", against: "v0.1", adds: "no setting: today's v0.1 has its migrations and metrics too" },
  { name: "v0.2x2", against: "v0.2x1", adds: "a second process, with a database connection of its own" },
  { name: "v0.2x4", against: "v0.2x2", adds: "two more processes" },
  { name: "v0.2x4", against: "v0.1", adds: "all of v0.2, as `--preset v0.2` has it" },
  { name: "v0.3", against: "v0.2x4", adds: "clicks through a stream and ten connections; one process again" },
  { name: "v0.4", against: "v0.3", adds: "caches in the process and in Redis" },
  { name: "stream", against: "v0.4", adds: "nothing: the same settings, so this is the noise of this page" },
  { name: "batch", against: "v0.1", adds: "clicks in batches, a cache in the process, ten connections" },
  { name: "async", against: "batch", adds: "the answer does not wait for its click" },
];

export function ladderTable(samples: readonly Sample[]): string[] {
  const steps = STEPS.filter(
    ({ name, against }) => samplesOf(samples, name).length > 0 && samplesOf(samples, against).length > 0,
  );
  if (steps.length === 0) return [];
  return [
    ...table(
      [
        "version",
        "against",
        "adds",
        "redirects a second, times",
        "p99, times",
        "CPU a request of all processes, times",
      ],
      steps.map(({ name, against, adds }) => [
        called(name),
        called(against),
        adds,
        times(ratio(samples, name, against)),
        times(ratio(samples, name, against, p99)),
        times(ratio(samples, name, against, cpu)),
      ]),
    ),
    ...steps.map((step) => `- ${sentence(step, samples)}`),
    "",
  ];
}

/** As in "v0.2, 4 processes: 1.30 of the redirects of v0.1; p99 0.60 of it." */
function sentence({ name, against }: Step, samples: readonly Sample[]): string {
  const said = [
    claim(ratio(samples, name, against), (part) => `${part} of the redirects a second`),
    claim(ratio(samples, name, against, p99), (part) => `p99 ${part} of it`),
    claim(ratio(samples, name, against, cpu), (part) => `CPU a request ${part} of it`),
  ];
  const [rate, latency, work] = said;
  return `${called(name)}, against ${called(against)}: ${rate ?? "no difference in redirects a second beyond the range of the rounds"}; ${
    latency ?? "no difference in p99"
  }; ${work ?? "no difference in CPU a request"}.`;
}

/** Undefined when the rounds do not agree on which of the two is more. */
function claim(seen: Figure | undefined, say: (part: string) => string): string | undefined {
  if (seen === undefined || isNull(seen)) return undefined;
  return say(seen.median.toFixed(2));
}

/** A null result: the rounds disagree on the direction. With one round, what is within the noise of one. */
export function isNull({ median, min, max }: Figure): boolean {
  return (min <= 1 && max >= 1) || Math.abs(median - 1) < LEAST_DIFFERENCE;
}

/** Two runs of the same settings differ by this much. */
const LEAST_DIFFERENCE = 0.03;

function called(name: SubjectName): string {
  return CALLED[name] ?? SUBJECTS.find((subject) => subject.name === name)?.name ?? name;
}

function times(seen: Figure | undefined): string {
  return seen === undefined ? NOTHING : withRange(seen, (value) => value.toFixed(2));
}

function p99({ report }: Sample): number {
  return report.latencyMs.p99;
}

function cpu({ cpuUs }: Sample): number | undefined {
  const known = Object.values(cpuUs);
  return known.length === 0 ? undefined : known.reduce((sum, us) => sum + us, 0);
}
