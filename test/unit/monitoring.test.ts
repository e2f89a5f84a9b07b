// The alerts and the dashboard ask for metrics that hop exports, and every alert says where to read on.
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { dashboardPage } from "../../deploy/grafana/dashboard.ts";
import { ROWS } from "../../deploy/grafana/panels.ts";
import { createFleetInstruments } from "../../src/fleet/instruments.ts";
import { createInstruments } from "../../src/instruments.ts";
import { createReplicaInstruments } from "../../src/open-replica.ts";
import { createStreamInstruments } from "../../src/stream-instruments.ts";
import { generatedFile } from "../helpers/generated.ts";
import { parsePromql, withoutVariables } from "../helpers/promql.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => Bun.file(new URL(path, ROOT)).text();

const alertSchema = z.strictObject({
  alert: z.string().regex(/^Hop[A-Z]\w+$/),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.strictObject({ severity: z.enum(["critical", "warning"]) }),
  annotations: z.strictObject({ summary: z.string().regex(/[.]$/), runbook: z.string() }),
});
const alertsSchema = z.object({
  groups: z.array(z.object({ name: z.string(), rules: z.array(alertSchema) })),
});
const alertTestsSchema = z.object({
  tests: z.array(
    z.object({
      alert_rule_test: z.array(z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()) })),
    }),
  ),
});

const alerts = alertsSchema
  .parse(Bun.YAML.parse(await read("deploy/prometheus/alerts.yml")))
  .groups.flatMap(({ rules }) => rules);
const panels = ROWS.flatMap(({ panels }) => panels);
const expressions = [
  ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ...panels.flatMap(({ title, queries }) =>
    queries.map(({ expr }) => [title, withoutVariables(expr)] as const),
  ),
];

/** Of a metric's labels their values; a label that takes any value, or that appears with its first event, has none. */
async function exportedMetrics(): Promise<Map<string, Map<string, Set<string>>>> {
  const instruments = createInstruments("1.2.3");
  instruments.watchSpool(() => 0, 1);
  createStreamInstruments(instruments.registry, 1);
  createReplicaInstruments(instruments.registry);
  const { registry: fleet } = createFleetInstruments(() => []);
  const metrics = new Map<string, Map<string, Set<string>>>();
  const labelsOf = (name: string) => {
    const labels = metrics.get(name) ?? new Map<string, Set<string>>();
    metrics.set(name, labels);
    return labels;
  };
  for (const line of `${await instruments.registry.metrics()}\n${await fleet.metrics()}`.split("\n")) {
    const name = /^(?:# TYPE )?([a-z_]+)/.exec(line)?.[1];
    if (name === undefined) continue;
    const labels = labelsOf(name);
    for (const [, label = "", value = ""] of line.matchAll(/(\w+)="([^"]*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
    }
  }
  for (const label of ["route", "method", "status"])
    labelsOf("hop_http_requests_total").set(label, new Set());
  labelsOf("hop_spool_skipped_total").set("reason", new Set());
  labelsOf("up");
  return metrics;
}

const metrics = await exportedMetrics();

/** What is wrong with an expression, in sentences. */
function complaints(expr: string): string[] {
  const { selectors, groupedBy, broken } = parsePromql(expr);
  const problems = broken ? ["it is not PromQL"] : [];
  const known = new Set(["job", "instance"]);
  for (const { metric, matchers } of selectors) {
    const labels = metrics.get(metric);
    if (labels === undefined) problems.push(`hop exports no ${metric}`);
    for (const label of labels?.keys() ?? []) known.add(label);
    for (const { label, operator, value } of matchers) {
      if (label === "job" || label === "instance") continue;
      const values = labels?.get(label);
      if (values === undefined) problems.push(`${metric} has no label ${label}`);
      else if (values.size > 0 && !matchesSome(values, operator, value))
        problems.push(`${metric} never has ${label}${operator}"${value}"`);
    }
  }
  for (const label of groupedBy) if (!known.has(label)) problems.push(`no metric has the label ${label}`);
  return problems;
}

/** Every alternative of a pattern has to match something, or it is a value that was renamed. */
function matchesSome(values: ReadonlySet<string>, operator: string, value: string): boolean {
  const alternatives = operator.includes("~") ? value.split("|") : [RegExp.escape(value)];
  return alternatives.every((pattern) =>
    [...values].some((candidate) => new RegExp(`^(?:${pattern})$`).test(candidate)),
  );
}

describe("alerts and panels", () => {
  test.each(expressions)("%s asks for what hop exports", (_, expr) => {
    expect(complaints(expr)).toEqual([]);
  });

  test("a metric, a label or a value that hop has not is found", () => {
    expect(complaints("sum(rate(hop_redirect_total[5m])) > 1")).toEqual([
      "hop exports no hop_redirect_total",
    ]);
    expect(complaints('hop_redirects_total{status="failed"}')).toEqual([
      "hop_redirects_total has no label status",
    ]);
    expect(complaints('hop_redirects_total{outcome=~"failed|lost"}')).toEqual([
      'hop_redirects_total never has outcome=~"failed|lost"',
    ]);
    expect(complaints("sum by (outcom) (hop_redirects_total)")).toEqual(["no metric has the label outcom"]);
    expect(complaints("sum(rate(")).toContain("it is not PromQL");
  });
});

describe("every alert", () => {
  test("has a section in docs/operations.md, and every such section an alert", async () => {
    const page = await read("docs/operations.md");
    const sections = [...page.matchAll(/^### (Hop\w+)$/gm)].map(([, name = ""]) => name);
    expect(sections.toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
    for (const { alert, annotations } of alerts) {
      expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    }
  });

  test("has a test in which it fires", async () => {
    const { tests } = alertTestsSchema.parse(Bun.YAML.parse(await read("deploy/prometheus/alerts.test.yml")));
    const fires = tests
      .flatMap((one) => one.alert_rule_test)
      .filter((one) => one.exp_alerts.length > 0)
      .map((one) => one.alertname);
    expect(alerts.map(({ alert }) => alert).filter((alert) => !fires.includes(alert))).toEqual([]);
  });
});

const asked = (expr: string) => parsePromql(withoutVariables(expr)).selectors.map(({ metric }) => metric);

describe("the dashboard", () => {
  test("is what panels.ts says", async () => {
    expect(await generatedFile("../deploy/grafana/dashboards/hop.json").text()).toBe(dashboardPage());
  });

  test("explains every panel, and names only alerts that exist", () => {
    for (const { title, description } of panels) {
      expect([title, description.length > 40 && description.endsWith(".")]).toEqual([title, true]);
      for (const [name] of description.matchAll(/Hop[A-Z]\w+/g)) {
        expect(alerts.map(({ alert }) => alert)).toContain(name);
      }
    }
  });

  test("shows what every alert watches", () => {
    const shown = new Set(panels.flatMap(({ queries }) => queries.flatMap(({ expr }) => asked(expr))));
    expect(alerts.flatMap(({ expr }) => asked(expr)).filter((metric) => !shown.has(metric))).toEqual([]);
  });
});
