// deploy/grafana/dashboards/hop.json, made from panels.ts by `npm run regenerate`.
import type { Panel, Row } from "./panel.ts";
import { ROWS } from "./panels.ts";

/** As provisioning/datasources/prometheus.yml names it. */
const SOURCE = { type: "prometheus", uid: "prometheus" };
const COLUMNS = 3;
/** Of Grafana's grid, which is 24 units wide. */
const WIDTH = 24 / COLUMNS;
const HEIGHT = 8;

/** The committed file, byte for byte. */
export function dashboardPage(): string {
  return `${JSON.stringify(dashboard(), undefined, 2)}\n`;
}

function dashboard(): object {
  let y = 0;
  let id = 0;
  const panels = ROWS.flatMap((row) => {
    const shown = rowPanels(row, y, () => ++id);
    y += 1 + HEIGHT * Math.ceil(row.panels.length / COLUMNS);
    return shown;
  });
  return {
    uid: "hop",
    title: "hop",
    description: "Is it up, is it fast, is it losing anything, and what is about to fill?",
    tags: ["hop"],
    schemaVersion: 39,
    editable: false,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    timezone: "browser",
    panels,
  };
}

function rowPanels(row: Row, y: number, nextId: () => number): object[] {
  const title = { id: nextId(), type: "row", title: row.question, collapsed: false, panels: [] };
  const shown = row.panels.map((panel, index) => ({
    id: nextId(),
    ...panelJson(panel),
    gridPos: {
      x: (index % COLUMNS) * WIDTH,
      y: y + 1 + Math.floor(index / COLUMNS) * HEIGHT,
      w: WIDTH,
      h: HEIGHT,
    },
  }));
  return [{ ...title, gridPos: { x: 0, y, w: 24, h: 1 } }, ...shown];
}

function panelJson({ title, description, unit, show, queries }: Panel): object {
  return {
    type: show === "lines" ? "timeseries" : "stat",
    title,
    description,
    datasource: SOURCE,
    fieldConfig: {
      defaults: { unit, min: 0, ...(show !== "lines" && { thresholds: thresholds(show) }) },
      overrides: [],
    },
    options:
      show === "lines"
        ? { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } }
        : { reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "background", graphMode: "area" },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint(65 + index),
      datasource: SOURCE,
      expr,
      legendFormat: legend,
    })),
  };
}

function thresholds(show: Exclude<Panel["show"], "lines">): object {
  const [below, above, from] =
    "redFrom" in show ? ["green", "red", show.redFrom] : ["red", "green", show.redBelow];
  return {
    mode: "absolute",
    steps: [
      { color: below, value: null },
      { color: above, value: from },
    ],
  };
}
