// hop as a process: started, asked over HTTP, stopped, and its ledger read.
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type Child, freePort, runChild, startChild, waitFor } from "./child.ts";

/** What `hop` runs. */
export const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const LEDGER_TIMEOUT_MS = 120_000;
const LIST_PAGE = 200;
const SETTLE_TIMEOUT_MS = 30_000;
const STILL_MS = 2_000;

/** The one API key of every hop that is measured; it opens nothing else. */
export const API_KEY = "hop_benchmark-benchmark-benchmark-benchmark-123";

/** What tells one measured hop from another. */
export interface HopSettings {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Clicks go through a Redis of its own, and one `hop work` stores them meanwhile. */
  readonly stream?: true;
}

/** Runs are shorter than the interval of dimensions: a round of them would fall into some windows and not into others. */
export const WITHOUT_DIMENSIONS = { HOP_DIMENSIONS_INTERVAL_MS: "3600000" } as const;

export interface Hop {
  readonly child: Child;
  readonly url: string;
  readonly adminUrl: string;
  /** From the start of the process to the line that says it is ready. */
  readonly readyMs: number;
}

export async function startHop(settings: HopSettings, dataDir: string, signal: AbortSignal): Promise<Hop> {
  const adminPort = await freePort();
  const startedAtMs = performance.now();
  const child = startChild(process.execPath, [MAIN, "serve", ...settings.args], {
    signal,
    env: {
      HOP_PORT: "0",
      HOP_ADMIN_PORT: String(adminPort),
      HOP_ADMIN_KEY: API_KEY,
      HOP_DATA_DIR: dataDir,
      HOP_LOG_LEVEL: "warn",
      ...settings.env,
    },
  });
  try {
    const url = await waitFor("hop", child, () => /hop is ready at (\S+)/.exec(child.output())?.[1], {
      timeoutMs: READY_TIMEOUT_MS,
      signal,
    });
    const readyMs = performance.now() - startedAtMs;
    const adminUrl = `http://127.0.0.1:${adminPort}`;
    return { child, url: url.replace("localhost", "127.0.0.1"), adminUrl, readyMs };
  } catch (error) {
    await child.stop();
    throw error;
  }
}

/** Metric lines by name and labels, as in `hop_redirects_total{outcome="redirected"}`. */
export type Metrics = (line: string) => number;

export async function readMetrics(hop: Hop, signal: AbortSignal): Promise<Metrics> {
  const text = await (await fetch(`${hop.adminUrl}/metrics`, { signal })).text();
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const space = line.lastIndexOf(" ");
    if (space > 0 && !line.startsWith("#")) values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return (line) => values.get(line) ?? 0;
}

export const REDIRECTED = 'hop_redirects_total{outcome="redirected"}';
export const NOT_COUNTED = 'hop_redirects_total{outcome="not_counted"}';
export const CREATED = "hop_links_created_total";
const MOVING = [
  REDIRECTED,
  NOT_COUNTED,
  CREATED,
  'hop_clicks_total{stage="stored"}',
  'hop_clicks_total{stage="streamed"}',
];

/**
 * The metrics once nothing moves: wrk hangs up on requests that hop goes on to finish. A request in flight shows in no
 * metric, so stillness has to last longer than a slow commit.
 */
export async function settledMetrics(hop: Hop, signal: AbortSignal): Promise<Metrics> {
  let still = await readMetrics(hop, signal);
  let stillSinceMs = performance.now();
  const settled = async () => {
    await Bun.sleep(100);
    const now = await readMetrics(hop, signal);
    const moved = MOVING.some((line) => now(line) !== still(line));
    still = now;
    if (moved) stillSinceMs = performance.now();
    return performance.now() - stillSinceMs >= STILL_MS ? now : undefined;
  };
  return waitFor("hop to come to rest", hop.child, settled, { timeoutMs: SETTLE_TIMEOUT_MS, signal });
}

const ledgerSchema = z.object({
  verdict: z.enum(["balanced", "unbalanced", "undecided"]),
  storedClicks: z.number(),
  dropped: z.record(z.string(), z.number()),
  reasons: z.array(z.string()),
});
export type Ledger = z.infer<typeof ledgerSchema>;

/** `hop ledger --json` of a data directory that no hop serves at the moment, and of the stream of a Redis. */
export async function readLedger(dataDir: string, redisUrl?: string): Promise<Ledger> {
  const { output } = await runChild(process.execPath, [MAIN, "ledger", "--json"], {
    // Never interrupted: it takes a second or two, and it has started a Postgres that it must stop.
    signal: new AbortController().signal,
    timeoutMs: LEDGER_TIMEOUT_MS,
    env: { HOP_DATA_DIR: dataDir, ...(redisUrl !== undefined && { HOP_REDIS_URL: redisUrl }) },
  });
  const json = output.indexOf("{");
  if (json === -1) throw new Error(`hop ledger said: ${output.trim()}`);
  return ledgerSchema.parse(JSON.parse(output.slice(json)));
}

const listSchema = z.object({
  items: z.array(z.object({ code: z.string() })),
  nextCursor: z.string().nullable(),
});

/** The codes of the newest links, through the API. */
export async function listCodes(hop: Hop, count: number, signal: AbortSignal): Promise<string[]> {
  const codes: string[] = [];
  let cursor: string | null = "";
  while (codes.length < count && cursor !== null) {
    const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const response = await fetch(`${hop.url}/api/v1/links?limit=${LIST_PAGE}${query}`, {
      signal,
      headers: { Authorization: `Bearer ${API_KEY}` },
    });
    if (!response.ok) throw new Error(`hop does not list its links: ${await response.text()}`);
    const page = listSchema.parse(await response.json());
    codes.push(...page.items.map((link) => link.code));
    cursor = page.nextCursor;
  }
  return codes.slice(0, count);
}
