// Visitor salts and the observer that uses them: at midnight the same visitor becomes another, without waiting.
import { beforeEach, describe, expect, test } from "bun:test";
import { ClickObserver } from "../../src/clicks/observer.ts";
import { SaltKeeper, type SaltStore } from "../../src/clicks/salt-keeper.ts";
import { AGENT_RULES, AgentReader, CountryReader } from "../../src/clicks/visitor.ts";
import { manualClock } from "../../src/lib/clock.ts";
import { MemorySaltStore } from "../contract/memory-salts.ts";
import { errorOf } from "../helpers/error-of.ts";

const NOON = Date.parse("2024-02-28T12:00:00Z");
const DAY_MS = 86_400_000;

let clock = manualClock(NOON);
let store = new MemorySaltStore();

beforeEach(() => {
  clock = manualClock(NOON);
  store = new MemorySaltStore();
});

describe("the salt keeper", () => {
  test("has today's and tomorrow's salt at hand, which all processes share", async () => {
    const [one, other] = [new SaltKeeper(store, clock), new SaltKeeper(store, clock)];
    await Promise.all([one.refresh(), other.refresh()]);
    for (const day of ["2024-02-28", "2024-02-29"]) {
      expect(one.saltOf(day)).toEqual(other.saltOf(day));
      expect(one.saltOf(day)).toHaveLength(32);
    }
    expect(one.saltOf("2024-02-28")).not.toEqual(one.saltOf("2024-02-29"));
  });

  test("keeps a day's salt when that day comes", async () => {
    const keeper = new SaltKeeper(store, clock);
    await keeper.refresh();
    const tomorrow = keeper.saltOf("2024-02-29");
    clock.advance(DAY_MS);
    await keeper.refresh();
    expect(keeper.saltOf("2024-02-29")).toEqual(tomorrow);
  });

  test("has salts deleted that are older than yesterday's", async () => {
    const deletions: string[] = [];
    const spied: SaltStore = {
      salt: (day, candidate) => store.salt(day, candidate),
      deleteOld: async (today) => void deletions.push(today),
    };
    const keeper = new SaltKeeper(spied, clock);
    await keeper.refresh();
    clock.advance(DAY_MS);
    await keeper.refresh();
    expect(deletions).toEqual(["2024-02-28", "2024-02-29"]);
  });

  test("makes a salt of its own for a day it could not fetch, and keeps to it", async () => {
    const keeper = new SaltKeeper(store, clock);
    await keeper.refresh();
    const own = keeper.saltOf("2024-03-05");
    expect(own).toHaveLength(32);
    expect(keeper.saltOf("2024-03-05")).toBe(own);
  });

  test("still has its salts after a refresh that failed", async () => {
    let away = false;
    const flaky: SaltStore = {
      salt: (day, candidate) => (away ? Promise.reject(new Error("away")) : store.salt(day, candidate)),
      deleteOld: (today) => store.deleteOld(today),
    };
    const keeper = new SaltKeeper(flaky, clock);
    await keeper.refresh();
    const salt = keeper.saltOf("2024-02-28");
    away = true;
    expect((await errorOf(keeper.refresh())).message).toBe("away");
    expect(keeper.saltOf("2024-02-28")).toEqual(salt);
  });
});

async function openObserver(asked: string[] = []): Promise<ClickObserver> {
  const keeper = new SaltKeeper(store, clock);
  await keeper.refresh();
  return new ClickObserver({
    salt: (day) => {
      asked.push(day);
      return keeper.saltOf(day);
    },
    agents: new AgentReader({ entries: 10 }),
    countries: CountryReader.open(),
  });
}

describe("the click observer", () => {
  const headers = new Headers({
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    referer: "https://news.example/story?id=1",
    "accept-language": "de-AT,de;q=0.9",
  });

  test("keeps of a request what a click is, and no address", async () => {
    const observer = await openObserver();
    const click = observer.observe(7, clock(), "203.0.113.9", headers);
    expect(click).toEqual({
      linkId: 7,
      atMs: NOON,
      visitor: expect.any(BigInt) as bigint,
      profile: {
        id: expect.any(BigInt) as bigint,
        country: "ZZ",
        referrer: "news.example",
        language: "de",
        agent: {
          id: expect.any(BigInt) as bigint,
          text: "Mozilla/0.0 (X00; Linux x00_00; rv:000.0) Gecko/00000000 Firefox/000.0",
          browser: "Firefox",
          os: "Linux",
          device: "desktop",
          bot: false,
          rules: AGENT_RULES,
        },
      },
    });
    expect(Bun.inspect(click)).not.toContain("203.0.113.9");
  });

  test("sees one visitor all day and another from midnight UTC on", async () => {
    const asked: string[] = [];
    const observer = await openObserver(asked);
    const visitorAt = (iso: string) => observer.observe(1, Date.parse(iso), "203.0.113.9", headers).visitor;
    const today = visitorAt("2024-02-28T00:00:00.000Z");
    expect(visitorAt("2024-02-28T12:00:00Z")).toBe(today);
    expect(visitorAt("2024-02-28T23:59:59.999Z")).toBe(today);
    const tomorrow = visitorAt("2024-02-29T00:00:00.000Z");
    expect(tomorrow).not.toBe(today);
    expect(visitorAt("2024-02-29T23:59:59.999Z")).toBe(tomorrow);
    expect(asked).toEqual(["2024-02-28", "2024-02-29"]);
  });

  test("uses the right day's salt when the clock is set back over midnight", async () => {
    const observer = await openObserver();
    const visitorAt = (iso: string) => observer.observe(1, Date.parse(iso), "203.0.113.9", headers).visitor;
    const today = visitorAt("2024-02-28T23:59:59.999Z");
    visitorAt("2024-02-29T00:00:00.000Z");
    expect(visitorAt("2024-02-28T23:59:59.999Z")).toBe(today);
  });

  test("takes a request without headers for a bot from nowhere", async () => {
    const observer = await openObserver();
    expect(observer.observe(1, clock(), "::1", new Headers())).toMatchObject({
      profile: {
        agent: { bot: true },
        referrer: "",
        language: "",
        country: "ZZ",
      },
    });
  });
});
