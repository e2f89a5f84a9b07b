// What a panel of the dashboard is, before dashboard.ts makes Grafana's JSON of it.

export interface Query {
  readonly expr: string;
  /** Grafana's legend format: `{{label}}`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** For someone who has never seen it: what it is, what is good, and what to do when it is not. */
  readonly description: string;
  readonly unit: "short" | "reqps" | "s" | "bytes" | "percentunit" | "cps";
  /** `number` is the last value, red from `redFrom` on (or below `redBelow`); `lines` is a time series. */
  readonly show: "lines" | { readonly redFrom: number } | { readonly redBelow: number };
  readonly queries: readonly Query[];
}

export interface Row {
  readonly question: string;
  readonly panels: readonly Panel[];
}
