// Very many links, put into the table by SQL: the rows that creates would make, in seconds instead of minutes.
import { connect } from "./database.ts";
import { seededRandom } from "./workload.ts";

/** Odd, so that it maps the numbers below 2^28 onto each other: codes in no order, as generated ones are. */
const SCATTER = 2_654_435_761;
const SPACE = 2 ** 28;
const CODE_LENGTH = 7;
const SEED = 419;

/**
 * For the Postgres of a hop that runs. The index of the search goes first: keeping it up to date would take most of the
 * time, and no redirect reads it.
 */
export async function fillLinks(dataDir: string, links: number): Promise<void> {
  const sql = await connect(dataDir);
  try {
    await sql`DROP INDEX links_search_idx`;
    // `chosen` is false for generated codes, and then nobody is told of the new link.
    await sql`
      INSERT INTO links (code, target, chosen)
      SELECT lpad(to_hex((n * ${SCATTER}::bigint) % ${SPACE}::bigint), ${CODE_LENGTH}::int, '0'),
        'https://shop.example.com/campaign/landing-page?utm_source=bench&item=' || lpad(n::text, 12, '0'), false
      FROM generate_series(1, ${links}::bigint) AS n`;
    await sql`VACUUM ANALYZE links`;
  } finally {
    await sql.end();
  }
}

/** The codes of those links by popularity, which has nothing to do with the order of the rows. */
export function codesByPopularity(links: number): string[] {
  const random = seededRandom(SEED);
  const codes = Array.from({ length: links }, (_, index) => codeOf(index + 1));
  for (let last = codes.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [codes[last], codes[other]] = [codes[other] ?? "", codes[last] ?? ""];
  }
  return codes;
}

function codeOf(n: number): string {
  return ((n * SCATTER) % SPACE).toString(16).padStart(CODE_LENGTH, "0");
}
