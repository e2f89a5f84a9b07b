// The variables of the read replica together with others.
import { expect, test } from "bun:test";
import { load, problemsOf } from "../helpers/config.ts";

const PRIMARY = "postgres://hop:secret@primary/hop";
const REPLICA = "postgres://hop:secret@replica/hop";

test("a read replica of a given primary is accepted", () => {
  const config = load({ HOP_DATABASE_URL: PRIMARY, HOP_DATABASE_READ_URL: REPLICA });
  expect(config.databaseReadUrl).toBe(REPLICA);
  expect(config.replicaLagMaxMs).toBeLessThan(config.cacheTtlMs);
});

test("a read replica of the embedded Postgres is refused, without showing its URL", () => {
  expect(problemsOf(() => load({ HOP_DATABASE_READ_URL: REPLICA }))).toEqual([
    "HOP_DATABASE_READ_URL: the embedded Postgres has no replica; set HOP_DATABASE_URL to its primary",
  ]);
});

test("a replica may not lag for as long as a link is cached, unless nothing is", () => {
  const env = {
    HOP_DATABASE_URL: PRIMARY,
    HOP_DATABASE_READ_URL: REPLICA,
    HOP_CACHE_TTL_MS: "5000",
    HOP_REPLICA_LAG_MAX_MS: "5000",
  };
  expect(problemsOf(() => load(env))).toEqual([
    "HOP_REPLICA_LAG_MAX_MS: 5000 is not less than HOP_CACHE_TTL_MS (5000); write less than that",
  ]);
  expect(load({ ...env, HOP_CACHE: "off" }).replicaLagMaxMs).toBe(5_000);
  expect(load({ ...env, HOP_DATABASE_READ_URL: "" }).replicaLagMaxMs).toBe(5_000);
});
