// P4 with links cached in Redis: a Redis that hangs, dies or comes back costs redirects a moment and never an answer.
import { afterAll, beforeAll, expect } from "bun:test";
import {
  type CacheFleet,
  countResults,
  startFleet,
  targetOf,
  untilBreaker,
} from "../../helpers/cache-fleet.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { summarise } from "../../helpers/latencies.ts";
import { RedirectLoad } from "../../helpers/redirect-load.ts";
import { waitFor } from "../../helpers/wait-for.ts";

/** Longer than a busy machine takes for a redirect, so that those that waited for Redis can be told from the others. */
const TIMEOUT_MS = 300;
const CODES = ["frozen-1", "frozen-2", "frozen-3"];

let fleet: CacheFleet;

beforeAll(async () => {
  const env = { HOP_CACHE_TIMEOUT_MS: String(TIMEOUT_MS) };
  // In the first every redirect asks Redis; in the second those do whose entry has expired: nearly all.
  fleet = await startFleet([
    { ...env, HOP_CACHE: "redis" },
    { ...env, HOP_CACHE_TTL_MS: "20" },
  ]);
  for (const code of CODES) await fleet.create(code);
});
afterAll(() => fleet.stop());

faultTest(
  "Redis freezes under load: redirects stay quick, and it is used again once it answers",
  { few: 2, full: 20 },
  async ({ rounds, random, begin }) => {
    const samples: number[] = [];
    const wrong: string[] = [];
    let frozen = false;
    const loads = fleet.members.map(({ hop }) => {
      const load = new RedirectLoad({
        codes: CODES,
        connections: 4,
        random: random.fork(),
        onAnswer: (code, answer) => {
          if (answer.headers.get("location") !== targetOf(code)) wrong.push(`${code}: ${answer.status}`);
          if (frozen) samples.push(answer.endedAtMs - answer.startedAtMs);
        },
      });
      load.start(hop.url);
      return load;
    });
    for (let round = 1; round <= rounds; round++) {
      begin(round, "SIGSTOP");
      await untilBreaker(fleet.members, 0);
      const hits = await countResults(fleet.members, "redis", "hit");
      await waitFor(
        "Redis to be used",
        async () => (await countResults(fleet.members, "redis", "hit")) > hits,
      );
      fleet.redis.pause();
      frozen = true;
      await untilBreaker(fleet.members, 1);
      const answered = loads.map(({ received }) => received);
      await waitFor("redirects without Redis", () =>
        loads.every((load, index) => load.received > (answered[index] ?? 0) + 300),
      );
      frozen = false;
      fleet.redis.resume();
    }
    await untilBreaker(fleet.members, 0);
    await Promise.all(loads.map((load) => load.stop()));
    expect(wrong).toEqual([]);
    expect(loads.map(({ hung }) => hung)).toEqual([0, 0]);
    // Those that were under way waited once; of all that came later hardly one.
    const waited = samples.filter((ms) => ms > TIMEOUT_MS).length;
    expect(waited / samples.length).toBeLessThan(0.05);
    const text = `${waited} of ${samples.length} redirects waited for a frozen Redis`;
    return `${text}; ${summarise(samples).text}`;
  },
);

faultTest(
  "Redis is killed and started again under load: every redirect is right, and it is used again",
  { few: 1, full: 10 },
  async ({ rounds, random, begin }) => {
    const wrong: string[] = [];
    const loads = fleet.members.map(({ hop }) => {
      const load = new RedirectLoad({
        codes: CODES,
        connections: 2,
        random: random.fork(),
        onAnswer: (code, answer) => {
          if (answer.headers.get("location") !== targetOf(code)) wrong.push(`${code}: ${answer.status}`);
        },
      });
      load.start(hop.url);
      return load;
    });
    for (let round = 1; round <= rounds; round++) {
      begin(round, "kill -9");
      await untilBreaker(fleet.members, 0);
      await fleet.redis.kill();
      await untilBreaker(fleet.members, 1);
      await fleet.redis.start();
    }
    await untilBreaker(fleet.members, 0);
    const hits = await countResults(fleet.members, "redis", "hit");
    await waitFor("Redis to be used", async () => (await countResults(fleet.members, "redis", "hit")) > hits);
    await Promise.all(loads.map((load) => load.stop()));
    expect(wrong).toEqual([]);
    return `${loads.reduce((sum, load) => sum + load.received, 0)} redirects`;
  },
);
