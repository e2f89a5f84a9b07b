// What the page says of the costs of observation.
import { TRACE_SAMPLE } from "./costs.ts";
import { figure, type Results } from "./figures.ts";
import { table, withRange } from "./markdown.ts";

export const COSTS_METHOD = `Costs of observation: one process serves redirects from hop's own parts, with nothing behind them that stores, and changes
every 50 ms between the same parts without instruments and, three times, with them; wrk asks all the time. A cost is what a
request's CPU time is more than without, as a part of it: the middle one of the cycles of a round. "Nothing" compares the server
with itself; tracing that is off is that server, for none of its code is loaded (an import rule and a test keep it so). Traces
(${TRACE_SAMPLE * 100} % of the redirects, to a collector in another process) change every second. With a database, a redirect costs
more, and these are a smaller part of it. The two looks at the clock for a redirect's time stay in all variants.`;

export function costsTable({ costs }: Results): string[] {
  if (costs === undefined) return [];
  return table(
    [
      `cost of observation, a redirect of ${costs.cpuUsPerRequest.toFixed(1)} µs without a store`,
      "of its throughput: median (range)",
    ],
    [
      ["metrics", show(costs.metrics)],
      ["nothing: tracing is off, against the same again", show(costs.nothing)],
      [`traces of ${TRACE_SAMPLE * 100} % of the redirects`, show(costs.traces)],
    ],
  );
}

function show(parts: readonly number[]): string {
  return withRange(figure(parts), (part) => `${(part * 100).toFixed(1)} %`);
}
