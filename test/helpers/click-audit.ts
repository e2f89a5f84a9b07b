// Compares what clients counted with what hop stored: the judge of "a click served is a click stored, once".
import { z } from "zod";
import type { Database } from "../../src/storage/postgres/database.ts";
import { type HopEnvironment, type HopProcess, runHop } from "./hop-process.ts";
import type { Tally } from "./redirect-load.ts";
import { waitFor } from "./wait-for.ts";

interface StoredClicks {
  readonly code: string;
  readonly rows: number;
  readonly totals: number;
}

/** That it is delivered is the promise. The clicks of 30 s of outages took more than 15 s on a machine with 16 programs on 2 cores. */
const DELIVERY_MS = 60_000;

/** Sentences, one for each link and count that is out of bounds; none when every click was stored once. */
export async function findMiscounts(
  sql: Database,
  hop: HopProcess,
  tallies: ReadonlyMap<string, Tally>,
): Promise<string[]> {
  const problems: string[] = [];
  const check = (code: string, where: string, count: number, { sent, received }: Tally) => {
    if (count < received)
      problems.push(`${code}: ${where} ${count}, but ${received} redirects were received`);
    if (count > sent) problems.push(`${code}: ${where} ${count}, but only ${sent} requests were sent`);
  };
  const delivered = async () => (await hop.metric("hop_spool_bytes")) === 0;
  await waitFor("the spool to be delivered", delivered, { timeoutMs: DELIVERY_MS });
  // A reader does not wait for more than a little; the background does the rest.
  const rows = async () => (await sql`SELECT FROM click_queue LIMIT 1`).length === 0;
  await waitFor("every click to be a row", rows, { timeoutMs: DELIVERY_MS });
  for (const [code, tally] of tallies) {
    // Just after a fault it may be a 503.
    const answer = await waitFor(`the API to show ${code}`, async () => {
      const shown = await hop.api("GET", `/api/v1/links/${code}`);
      return shown.status === 200 ? shown : undefined;
    });
    const { clicks } = shownSchema.parse(await answer.json());
    check(code, "API clicks", clicks, tally);
  }
  for (const { code, rows, totals } of await readStored(sql)) {
    const tally = tallies.get(code);
    if (tally === undefined) continue;
    check(code, "rows", rows, tally);
    check(code, "totals", totals, tally);
  }
  return problems;
}

const shownSchema = z.object({ clicks: z.number() });

/** One statement, so that both counts are of one moment. */
async function readStored(sql: Database): Promise<readonly StoredClicks[]> {
  return sql<StoredClicks[]>`
    SELECT code, (SELECT count(*) FROM clicks c WHERE c.link_id = l.id) AS rows,
      (SELECT coalesce(sum(h.clicks), 0)::bigint FROM link_hours h WHERE h.link_id = l.id) AS totals
    FROM links l ORDER BY id`;
}

export async function countStored(sql: Database): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    SELECT (SELECT count(*) FROM clicks) + (SELECT coalesce(sum(clicks), 0)::bigint FROM click_queue) AS count`;
  return row?.count ?? 0;
}

const ledgerSchema = z.object({
  verdict: z.string(),
  reasons: z.array(z.string()),
  storedClicks: z.number(),
  totalledClicks: z.number(),
  spooledClicks: z.number(),
  waitingClicks: z.number(),
  deadClicks: z.number(),
});

/** What `hop ledger --json` says, and its exit code. */
export async function readLedger(env: HopEnvironment) {
  const { code, output } = await runHop(["ledger", "--json"], env);
  const start = output.indexOf("{");
  if (start === -1) throw new Error(`hop ledger printed no JSON: ${output}`);
  return { exitCode: code, ...ledgerSchema.parse(JSON.parse(output.slice(start))) };
}
