// npm run soak: hop under the load of a big public for as long as you like, and whether it was right all the time.
import { Command, InvalidArgumentError } from "commander";
import { runSoak, type SoakOptions } from "./soak-run.ts";

const options = new Command("npm run soak --")
  .description(
    "one hop on one core under an open-loop load; exit code 1 when an answer fails or is wrong, a click is lost or doubled, or memory grows",
  )
  .option("--minutes <number>", "under load", positive, 60)
  .option("--seed <number>", "of everything random: what is asked for, and when", positive, 1)
  // Bitly on average: 330 million redirects a day and 256 million links a month.
  .option("--redirects <number>", "a second", positive, 3_820)
  .option("--creates <number>", "a second", positive, 100)
  .option("--links <number>", "that are there at the start", positive, 10_000)
  .option("--redis", "clicks go through a Redis, and one hop work stores them", false)
  .parse()
  .opts<Omit<SoakOptions, "signal">>();

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(name, () => interrupted.abort(new Error(`ended by ${name}, with everything it had started`)));
try {
  const laws = await runSoak({
    ...options,
    signal: interrupted.signal,
    say: (line) => console.log(line),
  });
  for (const { name, holds, seen } of laws) console.log(`${holds ? "ok    " : "BROKEN"} ${name}: ${seen}`);
  const broken = laws.filter(({ holds }) => !holds).length;
  console.log(broken === 0 ? "the soak is passed" : `the soak has failed: ${broken} broken`);
  process.exitCode = broken === 0 ? 0 : 1;
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError("It is a whole number from 1.");
  return Number(text);
}
