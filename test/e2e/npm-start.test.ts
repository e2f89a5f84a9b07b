// `npm start` as a newcomer or a process manager runs it.
import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../helpers/wait-for.ts";

const ROOT = join(import.meta.dir, "../..");

test.each([
  ["is told to stop", "SIGTERM", "itself"],
  // A terminal tells everyone in the group, and npm passes it on.
  ["gets a Ctrl-C", "SIGINT", "its group"],
] as const)("npm start that %s stops hop and its Postgres in good order", async (_what, signal, who) => {
  await using started = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "hop-npm-"));
  started.defer(() => rm(dataDir, { recursive: true, force: true }));
  // Open to the user that Postgres runs as under root, or the data would be kept elsewhere and stay behind.
  await chmod(dataDir, 0o711);
  const npm = spawn("npm", ["start"], {
    cwd: ROOT,
    // A group of its own, so that nothing outlives the test.
    detached: true,
    env: { ...process.env, HOP_PORT: "0", HOP_ADMIN_PORT: "0", HOP_DATA_DIR: dataDir },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // When everybody who could write to its outputs is gone.
  let ended = false;
  npm.once("close", () => {
    ended = true;
  });
  started.defer(() => killGroup(npm.pid));
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output += text;
    });
  }
  await waitFor("hop to be ready", () => output.includes("hop is ready at"), { timeoutMs: 30_000 });
  const postmaster = join(dataDir, "postgres/data/postmaster.pid");
  expect(existsSync(postmaster)).toBe(true);

  if (npm.pid === undefined) throw new Error("npm did not start");
  process.kill(who === "itself" ? npm.pid : -npm.pid, signal);
  await waitFor("npm and hop to end", () => ended);
  expect(output).toContain(`"signal":"${signal}"`);
  expect(existsSync(postmaster)).toBe(false);
});

function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, "SIGKILL");
  } catch {
    // Everyone in it has ended.
  }
}
