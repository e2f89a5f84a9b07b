// npm run audit: fails on known weaknesses in packages. A registry that does not answer audits is said in a line and is no failure.
import { judgeAudit } from "./helpers/audit-verdict.ts";

const TIMEOUT_MS = 120_000;

// All packages: what builds and tests hop runs with its keys too.
const audit = Bun.spawn(["npm", "audit", "--json"], {
  stdio: ["ignore", "pipe", "pipe"],
  timeout: TIMEOUT_MS,
});
const [output, complaint] = await Promise.all([
  new Response(audit.stdout).text(),
  new Response(audit.stderr).text(),
  audit.exited,
]);
const { outcome, lines } = judgeAudit(output, complaint);
for (const line of lines) console.log(line);
process.exitCode = outcome === "clean" || outcome === "undone" ? 0 : 1;
