// The versions of the ladder, as settings.
import type { Config } from "./variables.ts";

/** Named sets of settings, for `--preset`. What the environment or another flag sets wins over them. */
export const PRESETS = {
  "v0.1": { workers: 1, databaseConnections: 1, clicks: "inline", cache: "off" },
  "v0.2": { workers: 4, databaseConnections: 1, clicks: "inline", cache: "off" },
  "v0.3": { workers: 1, clicks: "stream", cache: "off" },
  "v0.4": { workers: 1, clicks: "stream", cache: "tiered" },
} as const satisfies Record<string, Partial<Config>>;
