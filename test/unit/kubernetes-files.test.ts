// deploy/kubernetes: settings that hop takes, pods without rights, probes that keep links working, and names that fit together.
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { z } from "zod";
import { VARIABLES } from "../../src/config/variables.ts";
import { KEY, load, problemsOf } from "../helpers/config.ts";

const FOLDER = new URL("../../deploy/kubernetes/", import.meta.url);
const read = (name: string) => Bun.file(new URL(name, FOLDER)).text();

const labels = z.record(z.string(), z.string());
const probeSchema = z.strictObject({
  httpGet: z.strictObject({ path: z.string(), port: z.string() }),
  periodSeconds: z.number(),
  timeoutSeconds: z.number().optional(),
  failureThreshold: z.number().optional(),
});
const containerSchema = z.object({
  image: z.string(),
  args: z.array(z.string()).optional(),
  env: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  envFrom: z.array(z.strictObject({ configMapRef: z.object({ name: z.string() }) })).default([]),
  ports: z.array(z.strictObject({ name: z.string(), containerPort: z.number() })).default([]),
  startupProbe: probeSchema.optional(),
  readinessProbe: probeSchema.optional(),
  livenessProbe: probeSchema.optional(),
  resources: z.object({ requests: labels, limits: z.strictObject({ memory: z.string() }) }),
  securityContext: z.unknown(),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
});
const podSchema = z.object({
  metadata: z.object({ labels }),
  spec: z.object({
    enableServiceLinks: z.literal(false),
    automountServiceAccountToken: z.literal(false),
    terminationGracePeriodSeconds: z.number().optional(),
    securityContext: z.object({
      runAsNonRoot: z.literal(true),
      runAsUser: z.literal(10_001),
      fsGroup: z.literal(10_001),
      seccompProfile: z.strictObject({ type: z.literal("RuntimeDefault") }),
    }),
    containers: z.tuple([containerSchema]),
    volumes: z.array(z.object({ name: z.string() })),
  }),
});
const workloadSchema = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    replicas: z.number().optional(),
    selector: z.object({ matchLabels: labels }).optional(),
    template: podSchema.optional(),
    jobTemplate: z.object({ spec: z.object({ template: podSchema }) }).optional(),
    volumeClaimTemplates: z.array(z.object({ metadata: z.object({ name: z.string() }) })).default([]),
  }),
});

async function workload(file: string) {
  const { kind, metadata, spec } = workloadSchema.parse(Bun.YAML.parse(await read(file)));
  const template = podSchema.parse(spec.template ?? spec.jobTemplate?.spec.template);
  return { kind, name: metadata.name, spec, template, container: template.spec.containers[0] };
}

const server = await workload("servers.yaml");
const worker = await workload("workers.yaml");
const ledger = await workload("ledger.yaml");
const config = z.object({ data: labels }).parse(Bun.YAML.parse(await read("config.yaml"))).data;
const secret = z
  .object({ stringData: labels })
  .parse(Bun.YAML.parse(await read("secret.example.yaml"))).stringData;

const MOUNT = "/run/secrets/hop/";
const readFile = (path: string): string => {
  const name = path.replace(MOUNT, "");
  return name === "admin-key" ? KEY : (secret[name] ?? "").replaceAll("PASSWORD", "secret");
};
const seconds = (field: "shutdownTimeoutMs" | "startTimeoutMs") => Number(VARIABLES[field].default) / 1_000;

describe.each([
  ["servers.yaml", server],
  ["workers.yaml", worker],
  ["ledger.yaml", ledger],
])("%s", (_, { template, container, spec }) => {
  test("gives hop settings that it takes, and keys that the Secret has", () => {
    const own = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    const env = { ...(container.envFrom.length > 0 && config), ...own };
    expect(problemsOf(() => load(env, { readFile }))).toEqual([]);
    const paths = Object.entries(own).filter(([name]) => name.endsWith("_FILE"));
    for (const [, path] of paths) expect(secret).toHaveProperty([path.replace(MOUNT, "")]);
  });

  test("runs without rights, and writes only to its volumes", () => {
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    const volumes = [...template.spec.volumes, ...spec.volumeClaimTemplates.map(({ metadata }) => metadata)];
    expect(container.volumeMounts.map(({ name }) => name).toSorted()).toEqual(
      volumes.map(({ name }) => name).toSorted(),
    );
  });

  test("selects the pods that it makes", () => {
    if (spec.selector !== undefined) expect(template.metadata.labels).toEqual(spec.selector.matchLabels);
  });

  test("probes ports that it has", () => {
    const ports = container.ports.map(({ name }) => name);
    for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      if (probe !== undefined) expect(ports).toContain(probe.httpGet.port);
    }
  });
});

describe("a server's pod", () => {
  test("keeps its spool on a volume that outlives it", () => {
    expect(server.kind).toBe("StatefulSet");
    expect(server.spec.volumeClaimTemplates.map(({ metadata }) => metadata.name)).toEqual(["spool"]);
    expect(server.container.volumeMounts).toContainEqual({ name: "spool", mountPath: "/data" });
  });

  test("gets no new connections while it leaves, and is not killed because Postgres is away", () => {
    expect(server.container.readinessProbe?.httpGet).toEqual({ path: "/readyz", port: "http" });
    expect(server.container.livenessProbe?.httpGet.path).toBe("/livez");
  });

  test("has time to leave: for the proxies to hear of it, for requests and for clicks", () => {
    const drainMs = Number(server.container.env.find(({ name }) => name === "HOP_DRAIN_MS")?.value);
    expect(drainMs).toBeGreaterThanOrEqual(5_000);
    expect(Number(server.template.spec.terminationGracePeriodSeconds) * 1_000).toBeGreaterThan(
      drainMs + Number(VARIABLES.stopTimeoutMs.default),
    );
  });

  test("is not killed while it waits for Postgres", () => {
    const { periodSeconds = 0, failureThreshold = 0 } = server.container.startupProbe ?? {};
    expect(periodSeconds * failureThreshold).toBeGreaterThan(seconds("startTimeoutMs"));
  });

  test("is counted by the autoscaler alone", async () => {
    expect(server.spec.replicas).toBeUndefined();
    const [scaler] = z
      .array(
        z.object({
          spec: z.object({ scaleTargetRef: z.object({ kind: z.string(), name: z.string() }).optional() }),
        }),
      )
      .parse(Bun.YAML.parse(await read("scaling.yaml")));
    expect(scaler?.spec.scaleTargetRef).toEqual({ kind: server.kind, name: server.name });
  });
});

test("a worker's pod has time to store what it has in hand", () => {
  expect(worker.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(seconds("shutdownTimeoutMs"));
  const { periodSeconds = 0, failureThreshold = 0 } = worker.container.startupProbe ?? {};
  expect(periodSeconds * failureThreshold).toBeGreaterThan(3 * seconds("startTimeoutMs"));
});

test("kustomization.yaml has every file but the examples", async () => {
  const { resources } = z
    .object({ resources: z.array(z.string()) })
    .parse(Bun.YAML.parse(await read("kustomization.yaml")));
  const files = readdirSync(FOLDER).filter(
    (name) => name !== "kustomization.yaml" && !name.includes(".example."),
  );
  expect(resources.toSorted()).toEqual(files.toSorted());
});
