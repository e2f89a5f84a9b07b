// The Redis that tests need: what is on PATH, or Debian's package where this may install it.
import { existsSync } from "node:fs";
import { findRedisServer } from "./helpers/redis-binary.ts";

/** @throws Error of one line that says what to install */
export async function provideRedis(): Promise<void> {
  if (findRedisServer() !== undefined) return;
  if (process.getuid?.() === 0 && existsSync("/etc/debian_version") && Bun.which("apt-get") !== null) {
    console.log("installing Debian's redis-server for the tests …");
    await apt("update", "-qq");
    await apt("install", "-y", "-qq", "--no-install-recommends", "redis-server");
    if (findRedisServer() !== undefined) return;
  }
  throw new Error(
    "the tests need redis-server or valkey-server on PATH: install the package redis-server (Debian, Ubuntu), redis (Fedora, Homebrew) or valkey",
  );
}

/** What it prints is only shown by apt itself when something fails. */
export async function apt(...args: readonly string[]): Promise<void> {
  const run = Bun.spawn(["apt-get", ...args], {
    // At runlevel 1 Debian's packages do not start their services.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await run.exited;
}
