// The caches in the process and in Redis, with real processes: who asks Postgres, and what a flood does.
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  type CacheFleet,
  countResults,
  type FleetMember,
  startFleet,
  targetOf,
} from "../helpers/cache-fleet.ts";
import { waitFor } from "../helpers/wait-for.ts";

const UNKNOWN_TTL_MS = 2_000;

let fleet: CacheFleet;
let members: readonly FleetMember[];

beforeAll(async () => {
  // Postgres may be slow on a busy machine; that is no reason for a second process to ask it.
  const env = { HOP_CACHE_LEASE_MS: "5000", HOP_CACHE_TIMEOUT_MS: "2000" };
  fleet = await startFleet([env, env, { ...env, HOP_CACHE: "redis" }]);
  ({ members } = fleet);
});
afterAll(() => fleet.stop());

const follow = ({ hop }: FleetMember, code: string) => fetch(`${hop.url}/${code}`, { redirect: "manual" });

/** Lookups in Postgres since the call before. */
let counted = 0;
async function lookups(): Promise<number> {
  const before = counted;
  counted = 0;
  for (const result of ["miss", "refused", "bypassed"])
    counted += await countResults(fleet.members, "redis", result);
  return counted - before;
}

const heard = () => Promise.all(members.map(({ hop }) => hop.metric("hop_invalidation_seconds_count")));

/** All members have heard of a link that was just made. */
async function createEverywhere(code: string): Promise<void> {
  const before = await heard();
  await fleet.create(code);
  await waitFor("all to hear", async () => {
    const now = await heard();
    return now.every((count, index) => count > (before[index] ?? 0));
  });
}

test("when three processes miss a code at once, one of them asks Postgres", async () => {
  for (let round = 1; round <= 5; round++) {
    const code = `hot-${round}`;
    await createEverywhere(code);
    await lookups();
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => follow(members[index % 3] as FleetMember, code)),
    );
    expect(answers.map((answer) => answer.headers.get("location"))).toEqual(
      answers.map(() => targetOf(code)),
    );
    expect(await lookups()).toBe(1);
  }
});

test("a process that starts takes over what the others keep in Redis, without asking Postgres", async () => {
  await createEverywhere("warm");
  await follow(members[0] as FleetMember, "warm");
  const late = await fleet.join();
  await lookups();
  expect((await follow(late, "warm")).headers.get("location")).toBe(targetOf("warm"));
  expect(await lookups()).toBe(0);
  expect(await countResults([late], "redis", "hit")).toBe(1);
});

test("unknown codes reach Postgres once in two seconds, from all processes together, and are found once made", async () => {
  const codes = Array.from({ length: 100 }, (_, index) => `unknown-${index}`);
  await lookups();
  const startedAtMs = performance.now();
  for (let round = 0; round < 3; round++) {
    for (const member of members) {
      const answers = await Promise.all(codes.map((code) => follow(member, code)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
    }
  }
  const turns = Math.floor((performance.now() - startedAtMs) / UNKNOWN_TTL_MS) + 1;
  expect(await lookups()).toBeLessThanOrEqual(codes.length * turns);
  await createEverywhere("unknown-7");
  for (const member of members) expect((await follow(member, "unknown-7")).status).toBe(302);
});

test("a flood of random codes pushes no link out of either cache", async () => {
  const good = Array.from({ length: 20 }, (_, index) => `good-${index}`);
  for (const code of good) await createEverywhere(code);
  const followAll = async () => {
    for (const member of members)
      for (const code of good) expect((await follow(member, code)).status).toBe(302);
  };
  await followAll();
  let asked = 0;
  const flood = async (member: FleetMember) => {
    for (let count = 0; count < 300; count++) {
      expect((await follow(member, `random-${asked++}`)).status).toBe(404);
    }
  };
  await Promise.all(members.flatMap((member) => [flood(member), flood(member)]));
  await lookups();
  await followAll();
  expect(await lookups()).toBe(0);
});

test("without notice of a change a copy is gone from Redis after its time to live at the latest", async () => {
  await createEverywhere("mortal");
  await follow(members[0] as FleetMember, "mortal");
  const [key = ""] = await fleet.redis.client.keys("hop:route1:*:mortal");
  const lifeMs = await fleet.redis.client.pttl(key);
  expect(lifeMs).toBeGreaterThan(30_000);
  expect(lifeMs).toBeLessThanOrEqual(60_000);
  for (let times = 0; times < 3; times++) await follow(members[2] as FleetMember, "mortal");
  expect(await fleet.redis.client.pttl(key)).toBeLessThanOrEqual(lifeMs);
});
