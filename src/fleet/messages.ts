// What a supervisor and its processes say to each other. They may be of different versions of hop: after an upgrade the old
// supervisor starts new processes.
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import { z } from "zod";

/** JSON has no infinity. In its place goes a number that also an older supervisor reads, and that is above any threshold. */
const INFINITE = Number.MAX_VALUE;

const metricValue = z.object({
  /** JSON has no NaN either, which an idle gauge may be. */
  value: z
    .number()
    .or(z.nan())
    .or(z.literal(Infinity))
    .nullable()
    .transform((value) => (value === INFINITE ? Infinity : (value ?? Number.NaN))),
  labels: z.record(z.string(), z.union([z.string(), z.number()])),
  metricName: z.string().optional(),
});

/** A metric as `registry.getMetricsAsJSON()` of prom-client has it. */
const metric = z.object({
  name: z.string(),
  help: z.string(),
  type: z.string(),
  aggregator: z.string(),
  values: z.array(metricValue),
});
export type Metric = z.infer<typeof metric>;

export const metricsSchema = z.array(metric);

/** Metrics as JSON carries them; `metricsSchema` reads them back. */
export function sendable(metrics: readonly MetricObjectWithValues<MetricValue<string>>[]): unknown {
  return metrics.map((each) => ({
    ...each,
    values: each.values.map((one) => (one.value === Infinity ? { ...one, value: INFINITE } : one)),
  }));
}

/** The status and the body of /readyz. */
export const healthSchema = z.object({ status: z.number(), body: z.record(z.string(), z.unknown()) });

/** Serves from now on. */
const ready = z.object({
  kind: z.literal("ready"),
  port: z.number(),
  baseUrl: z.string(),
  newAdminKey: z.string().optional(),
});
export type Ready = z.infer<typeof ready>;

/** It brings the schema up to date or waits for another process that does, however long that takes; then it starts on. */
const migrating = z.object({ kind: z.literal("migrating") });
const migrated = z.object({ kind: z.literal("migrated") });
export type MigrationStage = z.infer<typeof migrating | typeof migrated>["kind"];

export const processMessage = z.discriminatedUnion("kind", [
  ready,
  migrating,
  migrated,
  z.object({ kind: z.literal("answer"), id: z.number(), body: z.unknown() }),
  /** The last words: all that it ever counted. */
  z.object({ kind: z.literal("farewell"), metrics: z.unknown() }),
]);
export type ProcessMessage = z.infer<typeof processMessage>;

export const supervisorMessage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("ask"), id: z.number(), what: z.enum(["metrics", "health"]) }),
  /** The host is about to stop: /readyz says so from now on. */
  z.object({ kind: z.literal("drain") }),
  z.object({ kind: z.literal("stop"), manner: z.enum(["drain", "hand over", "now"]) }),
]);
export type SupervisorMessage = z.infer<typeof supervisorMessage>;
