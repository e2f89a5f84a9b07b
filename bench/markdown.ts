// Cells and tables of the page.
import type { Figure } from "./figures.ts";

export const NOTHING = "–";

/** As lines, with an empty one behind it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [tableLine(head), tableLine(head.map(() => "---")), ...rows.map(tableLine), ""];
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

export function withRange(found: Figure | undefined, show: (value: number) => string): string {
  return found === undefined ? NOTHING : `${show(found.median)} (${show(found.min)}–${show(found.max)})`;
}

export function maybe(value: number | undefined, show: (value: number) => string): string {
  return value === undefined ? NOTHING : show(value);
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

export function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}

export function percent(part: number): string {
  return `${(part * 100).toFixed(0)} %`;
}
