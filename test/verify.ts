// npm run verify: format, lint, types, import rules, unused code and unit tests, side by side, in seconds.
// Tests that need a Postgres or a real hop are run by npm test.
import { existsSync } from "node:fs";

const FOLDERS = ["src", "test", "bench", "deploy"].filter((folder) => existsSync(folder));

const CHECKS: Record<string, readonly string[]> = {
  format: ["oxfmt", "--check", "."],
  lint: ["oxlint"],
  types: ["tsc", "-p", "."],
  "import rules": ["depcruise", "--config", ".dependency-cruiser.cjs", ...FOLDERS],
  "unused code": ["knip"],
  "unit tests": [
    process.execPath,
    "test",
    "--parallel=2",
    // All checks share the machine, so the standard 5 s would fail tests for being slow.
    "--timeout=60000",
    "test/unit",
    "test/contract/memory.test.ts",
  ],
};

const outcomes = await Promise.all(
  Object.entries(CHECKS).map(async ([name, command]) => {
    const startedAtMs = performance.now();
    const check = Bun.spawn([...command], { stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr, code] = await Promise.all([
      new Response(check.stdout).text(),
      new Response(check.stderr).text(),
      check.exited,
    ]);
    const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
    console.log(`${code === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
    return code === 0 ? "" : `\n--- ${name}\n${stdout}${stderr}`;
  }),
);
console.log(outcomes.join(""));
process.exitCode = outcomes.some((outcome) => outcome !== "") ? 1 : 0;
