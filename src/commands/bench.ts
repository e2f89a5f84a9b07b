// hop bench: measures hop against nginx and a bare Bun.serve on this machine, in one run.
import { type Command, InvalidArgumentError } from "commander";
import { chartOf } from "../../bench/chart.ts";
import { lawsOf } from "../../bench/law-table.ts";
import { pageOf, resultsOf } from "../../bench/page.ts";
import { type BenchOptions, runBench } from "../../bench/run.ts";
import { PART_NAMES, type PartName } from "../../bench/subjects.ts";

const DOCS = new URL("../../docs/", import.meta.url);

type Options = Pick<BenchOptions, "seconds" | "repeats" | "links" | "clicks"> & {
  readonly only?: readonly PartName[];
  readonly write: boolean;
};

export function addBench(program: Command): void {
  program
    .command("bench")
    .description("measure hop beside nginx and a bare Bun.serve; exit code 1 when a sanity law is broken")
    .option(
      "--seconds <number>",
      "of each warm-up and each measurement; less for what has no goal",
      positive,
      4,
    )
    .option("--repeats <number>", "rounds; figures are medians over them", positive, 3)
    .option("--links <number>", "links that are asked for", positive, 100_000)
    .option("--clicks <number>", "in the table that the statistics are measured on", positive, 10_000_000)
    .option("--only <list>", `some of ${PART_NAMES.join(",")}; nothing is written then`, parseNames)
    .option("--no-write", "print the results, leave docs/benchmarks.md and its chart as they are")
    .action(bench);
}

async function bench(options: Options): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = (name: NodeJS.Signals) =>
    interrupted.abort(new Error(`ended by ${name}, with everything it had started`));
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, interrupt);
  const { signal } = interrupted;
  const only = options.only ?? PART_NAMES;
  const results = await runBench({ ...options, only, signal, say: (line) => console.error(line) });
  console.log(resultsOf(results));
  if (options.write && options.only === undefined) {
    const command = ["npm run bench --", ...process.argv.slice(3)].join(" ").replace(/ --$/, "");
    await Bun.write(new URL("benchmarks.svg", DOCS), chartOf(results));
    await Bun.write(new URL("benchmarks.md", DOCS), pageOf(results, { ...options, command }));
  }
  if (lawsOf(results).some((law) => !law.holds)) process.exitCode = 1;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError("It is a whole number from 1.");
  return Number(text);
}

function parseNames(text: string): readonly PartName[] {
  return text.split(",").map((name) => {
    const known = PART_NAMES.find((part) => part === name);
    if (known === undefined) throw new InvalidArgumentError(`Choose from ${PART_NAMES.join(",")}.`);
    return known;
  });
}
