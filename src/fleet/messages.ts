// What a supervisor and its processes say to each other. They may be of different versions of hop: after an upgrade the old
// supervisor starts new processes.
import { z } from "zod";

const metricValue = z.object({
  /** JSON has no NaN, which an idle gauge may be. */
  value: z
    .number()
    .or(z.nan())
    .nullable()
    .transform((value) => value ?? Number.NaN),
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

export const processMessage = z.discriminatedUnion("kind", [
  ready,
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
