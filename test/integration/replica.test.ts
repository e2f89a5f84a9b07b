// A real streaming replica: what it says of itself, and that its answers are never older than they claim.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { PostgresLinkStore } from "../../src/storage/postgres/links.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { PostgresReplica, primaryPosition } from "../../src/storage/postgres/replica.ts";
import { newLink } from "../contract/stores.ts";
import { errorOf } from "../helpers/error-of.ts";
import { PostgresPair } from "../helpers/postgres-pair.ts";

let pair: PostgresPair;
let replica: PostgresReplica;

beforeAll(async () => {
  pair = await PostgresPair.start(100);
  await migrate(pair.primary.sql);
  await pair.caughtUp();
  replica = new PostgresReplica(pair.replica.sql);
});
afterAll(() => pair.stop());

test("an answer that says it has replayed a position of the primary has every change before that position", async () => {
  const links = new PostgresLinkStore(pair.primary.sql);
  await links.insert([newLink("moving")]);
  await pair.caughtUp();
  // An answer of many codes takes so long that the replica replays edits while it is made.
  const codes = ["moving", ...Array.from({ length: 20_000 }, (_, other) => `other-${other}`)];
  const targets: { position: number; target: string }[] = [];
  let reached = 0;
  let older = 0;
  // On a busy machine the replica may show nothing for as long as sixty edits take; otherwise nothing would be compared.
  for (let edit = 1; edit <= 60 || reached === 0 || older === 0; edit++) {
    const target = `https://example.com/${edit}`;
    await links.update("moving", { url: target });
    targets.push({ position: (await primaryPosition(pair.primary.sql)).position, target });
    const { replayed, routes } = await replica.findRoutes(codes);
    const shown = targets.findIndex((change) => change.target === routes[0]?.target);
    const due = targets.findLastIndex((change) => change.position <= replayed);
    expect(shown).toBeGreaterThanOrEqual(due);
    if (due >= 0) reached++;
    if (shown < targets.length - 1) older++;
  }
});

test("primary and replica know that they belong together, and a primary is not taken for a replica", async () => {
  const primary = await primaryPosition(pair.primary.sql);
  expect(await replica.position()).toEqual({ position: expect.any(Number), cluster: primary.cluster });
  const notAReplica = new PostgresReplica(pair.primary.sql);
  expect(await notAReplica.position()).toEqual({ position: undefined, cluster: primary.cluster });
  expect(await errorOf(notAReplica.findRoutes(["moving"]))).toMatchObject({
    code: "TEMPORARILY_UNAVAILABLE",
  });
});

test("a role without privileges may ask both for their positions", async () => {
  await pair.primary.sql.unsafe("CREATE ROLE plain; GRANT CONNECT ON DATABASE postgres TO plain");
  await pair.caughtUp();
  for (const { sql } of [pair.primary, pair.replica]) {
    const [row] = await sql.begin(async (tx) => {
      await tx.unsafe("SET LOCAL ROLE plain");
      return tx`SELECT system_identifier, pg_is_in_recovery(), pg_last_wal_replay_lsn() FROM pg_control_system()`;
    });
    expect(row).toBeDefined();
  }
});
