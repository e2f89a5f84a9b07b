// npm test: one real Postgres for all test files, a Redis to start, the files in parallel, those that measure time one by one,
// and a plain closing line.
import { tmpdir } from "node:os";
import { openTestServer, SHARED_POSTGRES } from "./helpers/database.ts";
import { providePrograms } from "./provide-programs.ts";

/** A test that hangs is a failure, not a wait. */
const TEST_TIMEOUT_MS = 120_000;
const PARALLEL = 3;
/** A file that measures how long something takes imports this; beside other files it would measure them. */
const MEASURE = "helpers/target-watcher.ts";

try {
  await providePrograms();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
const server = await openTestServer();
let running: Bun.Subprocess | undefined;
let stopped = false;
const stop = () => {
  stopped = true;
  running?.kill("SIGTERM");
};
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
const totals = { passed: 0, failed: 0, code: 0 };
try {
  const { names, options } = readArguments(process.argv.slice(2));
  const { measuring, others } = await chooseFiles(names);
  await runFiles(others, PARALLEL, options);
  if (!stopped) await runFiles(measuring, 1, options);
} finally {
  await server.close();
}
const { passed, failed, code } = totals;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = code !== 0 || failed > 0 || passed === 0 ? 1 : 0;

/** Parts of paths, as bun takes them, and options for bun, of which -t has its value behind it. */
function readArguments(given: readonly string[]): { names: string[]; options: string[] } {
  const isOption = (argument: string, index: number) => argument.startsWith("-") || given[index - 1] === "-t";
  return {
    names: given.filter((argument, index) => !isOption(argument, index)),
    options: given.filter((argument, index) => isOption(argument, index)),
  };
}

/** The test files whose paths have one of the names in them; all without any. */
async function chooseFiles(names: readonly string[]): Promise<{ measuring: string[]; others: string[] }> {
  const measuring: string[] = [];
  const others: string[] = [];
  for (const file of [...new Bun.Glob("test/**/*.test.ts").scanSync(".")].toSorted()) {
    if (names.length > 0 && !names.some((name) => `./${file}`.includes(name))) continue;
    const measures = (await Bun.file(file).text()).includes(MEASURE);
    (measures ? measuring : others).push(`./${file}`);
  }
  return { measuring, others };
}

async function runFiles(
  files: readonly string[],
  parallel: number,
  options: readonly string[],
): Promise<void> {
  if (files.length === 0) return;
  const reportFile = `${tmpdir()}/hop-tests-${process.pid}-${parallel}.xml`;
  const tests = Bun.spawn(
    [
      process.execPath,
      "test",
      `--parallel=${parallel}`,
      `--timeout=${TEST_TIMEOUT_MS}`,
      "--reporter=junit",
      `--reporter-outfile=${reportFile}`,
      ...options,
      ...files,
    ],
    {
      env: { ...process.env, [SHARED_POSTGRES]: JSON.stringify(server.connection) },
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
    },
  );
  running = tests;
  const code = await tests.exited;
  // It led a process group: what a failed test left running ends here.
  try {
    process.kill(-tests.pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
  const file = Bun.file(reportFile);
  const report = (await file.exists()) ? await file.text() : "";
  if (report !== "") await file.delete();
  const count = (name: string) =>
    Number(new RegExp(`<testsuites[^>]* ${name}="(\\d+)"`).exec(report)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  totals.failed += failed;
  totals.passed += count("tests") - failed - count("skipped");
  if (code !== 0) totals.code = code;
}
