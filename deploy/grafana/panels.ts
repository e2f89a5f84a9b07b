// What the dashboard shows: four questions, and the panels that answer each. dashboard.ts turns this into Grafana's JSON.
import type { Row } from "./panel.ts";
import { FILLING, LOSING } from "./panels-clicks.ts";
import { FAST, UP } from "./panels-serving.ts";

/** In the order of the page. */
export const ROWS: readonly Row[] = [UP, FAST, LOSING, FILLING];
