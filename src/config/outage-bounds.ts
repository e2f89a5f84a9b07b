// The bounds of what is served while Postgres cannot be asked.

import { HOUR_MS, ms, type Bound } from "./bounds.ts";

export const OUTAGE_BOUNDS = {
  staleAfterMs: ms(
    "HOP_STALE_AFTER_MS",
    100,
    HOUR_MS,
    "a lookup that takes longer counts as Postgres being away: the known link is served, and the lookup goes on",
  ),
} as const satisfies Record<string, Bound>;
