// Makes sure that the tests find the other programs of a deployment: Postgres' own, nginx and Prometheus. Debian's root installs them.
import { existsSync } from "node:fs";
import { findPostgresPrograms } from "./helpers/postgres-programs.ts";
import { apt } from "./provide-redis.ts";

interface Tool {
  readonly name: string;
  /** Of Debian. */
  readonly package: string;
  readonly isThere: () => boolean;
}

const TOOLS: readonly Tool[] = [
  {
    name: "initdb, postgres, pg_dump and pg_restore",
    package: "postgresql",
    isThere: () => findPostgresPrograms() !== undefined,
  },
  {
    name: "prometheus and promtool",
    package: "prometheus",
    isThere: () => Bun.which("prometheus") !== null && Bun.which("promtool") !== null,
  },
  { name: "nginx", package: "nginx-light", isThere: () => Bun.which("nginx") !== null },
];

function missing(): readonly Tool[] {
  return TOOLS.filter((tool) => !tool.isThere());
}

/** @throws Error of one line that says what to install */
export async function provideTools(): Promise<void> {
  const packages = missing().map((tool) => tool.package);
  const installs =
    process.getuid?.() === 0 && existsSync("/etc/debian_version") && Bun.which("apt-get") !== null;
  if (packages.length > 0 && installs) {
    console.log(`installing Debian's ${packages.join(" and ")} for the tests …`);
    await apt("update", "-qq");
    await apt("install", "-y", "-qq", "--no-install-recommends", ...packages);
  }
  const [first] = missing();
  if (first !== undefined) {
    throw new Error(
      `the tests need ${first.name} on PATH: install the package ${first.package} (Debian, Ubuntu), or what your system calls it`,
    );
  }
}
