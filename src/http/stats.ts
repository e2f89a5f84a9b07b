// The statistics operation of the API.
import type { ClickReader } from "../clicks/ports.ts";
import { planStats, presentStats } from "../clicks/stats.ts";
import type { Clock } from "../lib/clock.ts";
import type { LinkManager } from "../links/manage.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";
import { statsAnswer, statsQuery } from "./schemas.ts";

export interface StatsEndpointOptions {
  readonly links: LinkManager;
  readonly clicks: Pick<ClickReader, "statsFacts">;
  readonly clock: Clock;
}

export function statsEndpoints({ links, clicks, clock }: StatsEndpointOptions): Endpoint[] {
  return [
    endpoint({
      method: "GET",
      path: "/api/v1/links/:code/stats",
      operationId: "getLinkStats",
      summary: "Clicks of a link over time",
      description:
        "The series has every bucket of the range, empty ones as zero. A visitor counts once a day, in the hour of the first click. `top` is kept by UTC day: of a range that begins or ends within a day it has the whole day. A deleted link keeps its statistics.",
      scope: "stats:read",
      query: statsQuery,
      answer: { status: 200, description: "The statistics.", schema: statsAnswer },
      errors: ["LINK_NOT_FOUND"],
      handle: async ({ code, query }) => {
        const link = await links.getWithHistory(code);
        const plan = planStats({ ...query, from: query.from, to: query.to }, clock());
        return { status: 200, body: presentStats(plan, await clicks.statsFacts(link.id, plan)) };
      },
    }),
  ];
}
