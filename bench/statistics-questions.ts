// What a person asks of a link's statistics, through the API: every range, dimension and way to treat bots in turn.
import { z } from "zod";
import { DAYS } from "./click-filler.ts";
import { API_KEY, type Hop } from "./hop.ts";

const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;
const YEAR_DAYS = 365;
const RANGES = [
  { interval: "hour", days: WEEK_DAYS },
  { interval: "day", days: DAYS },
  { interval: "month", days: YEAR_DAYS },
] as const;
const DIMENSIONS = ["country", "referrer", "browser", "os", "device", "language"] as const;
const BOTS = ["include", "exclude"] as const;
/** Every kind of question as often as every other. */
const WARM_UP_TURNS = 3;
const TURNS = 40;

const answerSchema = z.object({
  total: z.number(),
  unique: z.number(),
  top: z.array(z.object({ clicks: z.number() })),
});

export interface Totals {
  readonly clicks: number;
  readonly visitors: number;
  /** The sum over all values of a dimension that has few. */
  readonly ofDevices: number;
}

export async function askTotals(hop: Hop, code: string, signal: AbortSignal): Promise<Totals> {
  const query = queryOf("day", DAYS, "device", "include");
  const answer = answerSchema.parse(JSON.parse(await ask(hop, code, query, signal)));
  const ofDevices = answer.top.reduce((sum, { clicks }) => sum + clicks, 0);
  return { clicks: answer.total, visitors: answer.unique, ofDevices };
}

/** One request after another, over one connection. */
export async function askInTurn(
  hop: Hop,
  code: string,
  signal: AbortSignal,
): Promise<{ p50Ms: number; p99Ms: number }> {
  const times: number[] = [];
  for (let turn = 0; turn < WARM_UP_TURNS + TURNS; turn++) {
    for (const query of questions()) {
      const startedAtMs = performance.now();
      await ask(hop, code, query, signal);
      if (turn >= WARM_UP_TURNS) times.push(performance.now() - startedAtMs);
    }
  }
  return { p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

/** The smallest value that at least such a part of the values does not pass. @throws RangeError without values */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (found === undefined) throw new RangeError("no values");
  return found;
}

/** Those of one turn. */
export function questions(): string[] {
  return RANGES.flatMap(({ interval, days }) =>
    DIMENSIONS.flatMap((by) => BOTS.map((bots) => queryOf(interval, days, by, bots))),
  );
}

function queryOf(interval: string, days: number, by: string, bots: string): string {
  const from = new Date(Date.now() - days * DAY_MS).toISOString();
  return new URLSearchParams({ from, interval, by, bots }).toString();
}

async function ask(hop: Hop, code: string, query: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(`${hop.url}/api/v1/links/${code}/stats?${query}`, {
    signal,
    headers: { Authorization: `Bearer ${API_KEY}` },
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`hop gives no statistics: ${answer}`);
  return answer;
}
