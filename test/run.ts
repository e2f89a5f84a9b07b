// npm test: one real Postgres for all test files, a Redis to start, the files in parallel, and a plain closing line.
import { openTestServer, SHARED_POSTGRES } from "./helpers/database.ts";
import { provideRedis } from "./provide-redis.ts";
import { provideTools } from "./provide-tools.ts";

/** A test that hangs is a failure, not a wait. */
const TEST_TIMEOUT_MS = 120_000;

try {
  await provideRedis();
  await provideTools();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
const server = await openTestServer();
const reportFile = `${(await import("node:os")).tmpdir()}/hop-tests-${process.pid}.xml`;
const tests = Bun.spawn(
  [
    process.execPath,
    "test",
    "--parallel=3",
    `--timeout=${TEST_TIMEOUT_MS}`,
    "--reporter=junit",
    `--reporter-outfile=${reportFile}`,
    ...process.argv.slice(2),
  ],
  {
    env: { ...process.env, [SHARED_POSTGRES]: JSON.stringify(server.connection) },
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  },
);
const stop = () => tests.kill("SIGTERM");
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
const code = await tests.exited;
// It led a process group: what a failed test left running ends here.
try {
  process.kill(-tests.pid, "SIGKILL");
} catch (error) {
  if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
}
await server.close();
const report = await Bun.file(reportFile)
  .text()
  .catch(() => "");
await Bun.file(reportFile)
  .delete()
  .catch(() => undefined);
const count = (name: string) =>
  Number(new RegExp(`<testsuites[^>]* ${name}="(\\d+)"`).exec(report)?.[1] ?? 0);
const failed = count("failures") + count("errors");
const passed = count("tests") - failed - count("skipped");
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = code !== 0 || failed > 0 || passed === 0 ? 1 : 0;
