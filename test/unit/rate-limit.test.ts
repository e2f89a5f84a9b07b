// Whom rate limits count, and what they say in HTTP.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type LimitName, LIMITS, RateLimits } from "../../src/http/rate-limit.ts";
import { manualClock } from "../../src/lib/clock.ts";
import { canonicalIp, limitedNetwork } from "../../src/lib/ip.ts";
import { LocalLimiter } from "../../src/lib/rate-limit.ts";

function openLimits(limits: Partial<Record<LimitName, number>>) {
  const clock = manualClock(Date.UTC(2030, 0, 1));
  const limited: LimitName[] = [];
  const open = (name: LimitName) => {
    const limit = limits[name];
    return limit === undefined
      ? undefined
      : new LocalLimiter({ limit, windowMs: 60_000, maxSubjects: 1_000, clock });
  };
  const made = new RateLimits({
    limiters: {
      key_writes: open("key_writes"),
      address_writes: open("address_writes"),
      address_failures: open("address_failures"),
      address_misses: open("address_misses"),
    },
    pseudonym: (network) => `pseudonym of ${network}`,
    onLimited: (name) => limited.push(name),
  });
  return { limits: made, clock, limited };
}

describe("a write", () => {
  test("is told both limits, what is left of them and for how long, as the draft of the RateLimit fields has it", async () => {
    const { limits, clock } = openLimits({ key_writes: 5, address_writes: 3 });
    await limits.countWrite(1, "192.0.2.1");
    clock.advance(10_500);
    const { headers, refusal } = await limits.countWrite(1, "192.0.2.2");
    expect(refusal).toBeUndefined();
    expect(headers).toEqual({
      "RateLimit-Policy": '"key_writes";q=5;w=60, "address_writes";q=3;w=60',
      RateLimit: '"key_writes";r=3;t=50, "address_writes";r=2;t=60',
    });
  });

  test("above either limit is refused, and told to come back when the last of them has room", async () => {
    const { limits, clock, limited } = openLimits({ key_writes: 1, address_writes: 1 });
    await limits.countWrite(1, "192.0.2.1");
    clock.advance(20_000);
    const byKey = await limits.countWrite(1, "192.0.2.2");
    expect(byKey.refusal).toMatchObject({ code: "RATE_LIMITED" });
    expect(byKey.headers).toMatchObject({ "Retry-After": "40" });
    const byAddress = await limits.countWrite(2, "192.0.2.1");
    expect(byAddress.headers).toMatchObject({ "Retry-After": "40" });
    const byBoth = await limits.countWrite(1, "192.0.2.2");
    expect(byBoth.headers).toMatchObject({ "Retry-After": "60" });
    expect(limited).toEqual(["key_writes", "address_writes", "key_writes", "address_writes"]);
  });

  test("without limits is not told of any", async () => {
    const { limits } = openLimits({});
    for (let count = 0; count < 100; count++) {
      expect(await limits.countWrite(1, "192.0.2.1")).toEqual({ headers: {}, refusal: undefined });
    }
  });
});

describe.each([
  ["countFailure", "address_failures"],
  ["countMiss", "address_misses"],
] as const)("%s", (method, name) => {
  test("says nothing below the limit, and refuses above it", async () => {
    const { limits, limited } = openLimits({ [name]: 2 });
    for (let count = 0; count < 2; count++) {
      expect(await limits[method]("192.0.2.1")).toEqual({ headers: {}, refusal: undefined });
    }
    const { headers, refusal } = await limits[method]("192.0.2.1");
    expect(refusal?.code).toBe("RATE_LIMITED");
    expect(headers).toEqual({
      "RateLimit-Policy": `"${name}";q=2;w=60`,
      RateLimit: `"${name}";r=0;t=60`,
      "Retry-After": "60",
    });
    expect(limited).toEqual([name]);
    expect((await limits[method]("192.0.2.2")).refusal).toBeUndefined();
  });
});

describe("the network that is limited", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8::", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8:1:2:3:4:5::", "2001:db8:1:2::/64"],
    ["64:ff9b::c000:201", "64:ff9b::c000:201"],
    ["", ""],
  ])("of %p is %p", (address, network) => {
    expect(limitedNetwork(address)).toBe(network);
  });

  test("is one for all addresses of a /64, and another for every other /64", () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
    const half = fc.array(group, { minLength: 4, maxLength: 4 }).map((groups) => groups.join(":"));
    fc.assert(
      fc.property(half, half, half, half, (network, other, host, otherHost) => {
        fc.pre([network, other].every((half) => !half.startsWith("64:ff9b:0:0")));
        // IPv4-mapped addresses are IPv4.
        fc.pre(network !== "0:0:0:0" && other !== "0:0:0:0");
        expect(networkOf(network, host)).toBe(networkOf(network, otherHost));
        expect(networkOf(network, host) === networkOf(other, host)).toBe(network === other);
      }),
    );
  });
});

function networkOf(network: string, host: string): string {
  return limitedNetwork(canonicalIp(`${network}:${host}`) ?? "?");
}

test("every limit has a name that a structured field can quote", () => {
  for (const name of LIMITS) expect(name).toMatch(/^[a-z_]+$/);
});
