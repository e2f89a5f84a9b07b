// Rules and dashboard against the real thing: promtool judges the rules, Prometheus scrapes a fleet and is asked every question.
import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { ROWS } from "../../deploy/grafana/panels.ts";
import { run } from "../../src/storage/embedded/bounded.ts";
import { openFleet } from "../helpers/operator-stack.ts";
import { startPrometheus } from "../helpers/prometheus.ts";
import { withoutVariables } from "../helpers/promql.ts";
import { waitFor } from "../helpers/wait-for.ts";
import { which } from "../helpers/which.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

test.each(["check config deploy/prometheus/prometheus.yml", "test rules deploy/prometheus/alerts.test.yml"])(
  "promtool %s",
  async (command) => {
    const { code, output } = await run(which("promtool") ?? "promtool", command.split(" "), {
      account: undefined,
      timeoutMs: 60_000,
      cwd: ROOT,
    });
    expect([code, output]).toEqual([0, output]);
  },
);

/** What these say depends on how busy the machine is that tests. */
const TIMES = new Set(["HopRedirectsSlow", "HopHearsLate"]);

test("every panel of the dashboard has an answer from a fleet that is followed, and no alert is pending", async () => {
  await using fleet = await openFleet({ redis: { fsync: "everysec" } });
  const { hop, worker } = fleet;
  await using prometheus = await startPrometheus({
    hop: [new URL(hop.adminUrl).host],
    "hop-work": [new URL(worker.adminUrl).host],
  });
  const follow = async () => {
    await hop.api("POST", "/api/v1/links", { url: "https://example.com/" });
    await hop.api("PATCH", "/api/v1/links/go", { title: `at ${Date.now()}` });
    expect((await hop.api("GET", "/go")).status).toBe(302);
    expect((await hop.api("GET", "/unknown")).status).toBe(404);
  };
  await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "go" });

  for (const { title, queries } of ROWS.flatMap(({ panels }) => panels)) {
    for (const { expr } of queries) {
      const query = withoutVariables(expr);
      // This fleet has no replica.
      if (query.includes("hop_replica_")) continue;
      // A rate needs two scrapes, and a series that begins with its first event one more.
      await waitFor(
        `${title}: ${query}`,
        async () => {
          await follow();
          const series = await prometheus.query(query);
          return series.length > 0;
        },
        { timeoutMs: 30_000, everyMs: 100 },
      );
    }
  }

  const alerts = Bun.YAML.parse(await Bun.file(`${ROOT}deploy/prometheus/alerts.yml`).text()) as {
    groups: { rules: { alert: string; expr: string }[] }[];
  };
  for (const { alert, expr } of alerts.groups.flatMap(({ rules }) => rules)) {
    const series = await prometheus.query(expr);
    if (!TIMES.has(alert)) expect([alert, series]).toEqual([alert, []]);
  }
}, 120_000);
