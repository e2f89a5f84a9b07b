// The programs that tests run beside hop: what this machine has, or Debian's packages. Root has them installed; for anybody else
// they are unpacked where `npm ci` cleans up.
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { findPostgresPrograms } from "./helpers/postgres-programs.ts";
import { findRedisServer } from "./helpers/redis-binary.ts";
import { which } from "./helpers/which.ts";

interface Program {
  readonly name: string;
  /** Of Debian. */
  readonly package: string;
  readonly isThere: () => boolean;
}

const PROGRAMS: readonly Program[] = [
  {
    name: "redis-server or valkey-server",
    package: "redis-server",
    isThere: () => findRedisServer() !== undefined,
  },
  {
    name: "initdb, postgres, pg_dump and pg_restore",
    package: "postgresql",
    isThere: () => findPostgresPrograms() !== undefined,
  },
  {
    name: "prometheus and promtool",
    package: "prometheus",
    isThere: () => which("prometheus") !== undefined && which("promtool") !== undefined,
  },
  { name: "openssl", package: "openssl", isThere: () => which("openssl") !== undefined },
  { name: "pgbouncer", package: "pgbouncer", isThere: () => which("pgbouncer") !== undefined },
  { name: "nginx", package: "nginx-light", isThere: () => which("nginx") !== undefined },
];

const UNPACKED = join(import.meta.dir, "../node_modules/.cache/hop-test-programs");

/** Puts them on this process's PATH. @throws Error of one line that says what to install */
export async function providePrograms(): Promise<void> {
  useUnpacked();
  const packages = missing().map((program) => program.package);
  if (packages.length > 0 && existsSync("/etc/debian_version") && which("apt-get") !== undefined) {
    console.log(`getting Debian's ${packages.join(", ")} for the tests …`);
    await (process.getuid?.() === 0 ? install(packages) : unpack(packages));
    useUnpacked();
  }
  const [first] = missing();
  if (first !== undefined) {
    throw new Error(
      `the tests need ${first.name} on PATH: install the package ${first.package} (Debian, Ubuntu), or what your system calls it`,
    );
  }
}

function missing(): readonly Program[] {
  return PROGRAMS.filter((program) => !program.isThere());
}

async function install(packages: readonly string[]): Promise<void> {
  await run(["apt-get", "update", "-qq"]);
  await run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...packages]);
}

/** The packages and what they need that is not installed, without their scripts. */
async function unpack(packages: readonly string[]): Promise<void> {
  const debs = join(UNPACKED, "debs");
  for (const directory of ["lists/partial", "cache/archives/partial", "root", "debs"])
    mkdirSync(join(UNPACKED, directory), { recursive: true });
  const [lists, cache] = [join(UNPACKED, "lists"), join(UNPACKED, "cache")];
  const apt = ["apt-get", "-qq", "-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${cache}`];
  await run([...apt, "update"]);
  const plan = await run([...apt, "install", "--simulate", "--no-install-recommends", ...packages]);
  const needed = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name = ""]) => name);
  await run([...apt, "download", ...needed], debs);
  for (const deb of readdirSync(debs)) await run(["dpkg-deb", "-x", join(debs, deb), join(UNPACKED, "root")]);
}

/** Debian keeps nginx where only root looks. */
function useUnpacked(): void {
  const root = join(UNPACKED, "root");
  addPlaces("PATH", "/usr/sbin", join(root, "usr/bin"), join(root, "usr/sbin"));
  const libraries = join(root, "usr/lib");
  if (!existsSync(libraries)) return;
  addPlaces(
    "LD_LIBRARY_PATH",
    ...new Bun.Glob("*-linux-gnu").scanSync({ cwd: libraries, onlyFiles: false, absolute: true }),
  );
  const postgres = join(libraries, "postgresql");
  if (existsSync(postgres))
    addPlaces("PATH", ...readdirSync(postgres).map((version) => join(postgres, version, "bin")));
}

function addPlaces(variable: "PATH" | "LD_LIBRARY_PATH", ...places: readonly string[]): void {
  process.env[variable] = [...(process.env[variable] ?? "").split(":"), ...places].filter(Boolean).join(":");
}

/** What it printed. Of what fails only the end is told; whether the programs are there is seen afterwards. */
async function run(command: readonly string[], cwd?: string): Promise<string> {
  const child = Bun.spawn([...command], {
    ...(cwd !== undefined && { cwd }),
    // At runlevel 1 Debian's packages do not start their services.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const printed = await new Response(child.stdout).text();
  await child.exited;
  return printed;
}
