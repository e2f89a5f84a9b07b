// Every operation of the API: the table that is served and documented.
import type { Endpoint } from "./endpoint.ts";
import { type LinkEndpointOptions, linkEndpoints } from "./links.ts";
import { type StatsEndpointOptions, statsEndpoints } from "./stats.ts";

export function apiEndpoints(options: LinkEndpointOptions & StatsEndpointOptions): Endpoint[] {
  return [...linkEndpoints(options), ...statsEndpoints(options)];
}
