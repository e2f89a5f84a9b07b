// clientIp and TrustedProxies: nobody can choose the address hop sees them at.

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { TrustedProxies, clientIp } from "../../src/http/client-address.ts";
import { AppError } from "../../src/lib/errors.ts";
import { canonicalIp } from "../../src/lib/ip.ts";

const NOBODY = new TrustedProxies([]);
const PROXIES = new TrustedProxies(["10.0.0.0/8", "fd00::/8", "192.0.2.7"]);

describe("an address", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::1", "::1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:c000:0201", "192.0.2.1"],
    ["::ffff:0.0.0.0", "0.0.0.0"],
    ["fe80::1%eth0", "fe80::1"],
    ["::192.0.2.1", "::c000:201"],
    ["1::2:3:4:192.0.2.1", "1::2:3:4:c000:201"],
  ])("%p is spelled %p", (text, canonical) => {
    expect(canonicalIp(text)).toBe(canonical);
  });

  test.each([
    "",
    " ",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.4 ",
    "1.2.3.4\0",
    "0x7f.1",
    "::g",
    "1::2::3",
    "[::1]",
    "localhost",
    "1.2.3.4/8",
    "-",
  ])("%p is none", (text) => {
    expect(canonicalIp(text)).toBeUndefined();
  });

  test("has one spelling, which is its own", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const canonical = canonicalIp(text) ?? "none";
        expect(canonicalIp(canonical)).toBe(canonical);
        expect(canonicalIp(text.toUpperCase())).toBe(canonical);
      }),
      { numRuns: 500 },
    );
  });
});

describe("trusted proxies", () => {
  test.each([
    ["10.0.0.0", true],
    ["10.255.255.255", true],
    ["11.0.0.0", false],
    ["9.255.255.255", false],
    ["fd12::1", true],
    ["fc00::1", false],
    ["192.0.2.7", true],
    ["192.0.2.8", false],
  ])("%p is trusted: %p", (address, trusted) => {
    expect(PROXIES.has(address)).toBe(trusted);
    expect(NOBODY.has(address)).toBe(false);
  });

  test("cover a whole family with a prefix of 0 and nothing of the other", () => {
    const all4 = new TrustedProxies(["0.0.0.0/0"]);
    expect([all4.has("203.0.113.1"), all4.has("2001:db8::1")]).toEqual([true, false]);
    const all6 = new TrustedProxies(["::/0"]);
    expect([all6.has("203.0.113.1"), all6.has("2001:db8::1")]).toEqual([false, true]);
  });

  test("may be written with host bits, spaces around, or as IPv4 in IPv6", () => {
    expect(new TrustedProxies([" 10.1.2.3/8 "]).has("10.9.9.9")).toBe(true);
    expect(new TrustedProxies(["::ffff:10.0.0.0/104"]).has("10.9.9.9")).toBe(true);
    expect(new TrustedProxies(["::ffff:10.0.0.1"]).has("10.0.0.2")).toBe(false);
  });

  test.each([
    "",
    "10.0.0.0/33",
    "::/129",
    "10.0.0/8",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/ 8",
    "*",
    "proxy.example",
    "fe80::1%eth0",
    "::ffff:10.0.0.0/95",
  ])("%p is refused", (text) => {
    expect(() => new TrustedProxies([text])).toThrow(AppError);
  });

  test("reports every entry that cannot be read, each by its place", () => {
    expect(() => new TrustedProxies(["10.0.0.0/8", "nonsense", "::/0", "1.2.3.4/99"])).toThrow(
      expect.objectContaining({
        code: "INVALID",
        fields: [
          { path: "trustedProxies.1", message: expect.stringContaining("nonsense") },
          { path: "trustedProxies.3", message: expect.stringContaining("1.2.3.4/99") },
        ],
      }),
    );
  });
});

describe("the client's address", () => {
  test.each([
    ["the peer when nobody is trusted", "203.0.113.9", "198.51.100.1", NOBODY, "203.0.113.9"],
    ["the peer when the peer is not trusted", "203.0.113.9", "198.51.100.1", PROXIES, "203.0.113.9"],
    ["the peer when there is no header", "10.0.0.1", null, PROXIES, "10.0.0.1"],
    ["the peer when the header is empty", "10.0.0.1", "", PROXIES, "10.0.0.1"],
    ["the one forwarded address", "10.0.0.1", "198.51.100.1", PROXIES, "198.51.100.1"],
    ["the rightmost untrusted address", "10.0.0.1", "6.6.6.6, 198.51.100.1", PROXIES, "198.51.100.1"],
    [
      "found behind several proxies",
      "10.0.0.1",
      "6.6.6.6, 198.51.100.1, fd00::1, 192.0.2.7",
      PROXIES,
      "198.51.100.1",
    ],
    ["the leftmost when all are trusted", "10.0.0.1", "10.0.0.3, 10.0.0.2", PROXIES, "10.0.0.3"],
    ["found without spaces", "10.0.0.1", "6.6.6.6,198.51.100.1", PROXIES, "198.51.100.1"],
    ["found among tabs and spaces", "10.0.0.1", " \t198.51.100.1\t ", PROXIES, "198.51.100.1"],
    [
      "the last one vouched for before garbage",
      "10.0.0.1",
      "198.51.100.1, garbage, 10.0.0.2",
      PROXIES,
      "10.0.0.2",
    ],
    ["the peer when the nearest entry is garbage", "10.0.0.1", "198.51.100.1, unknown", PROXIES, "10.0.0.1"],
    ["the peer when the nearest entry is empty", "10.0.0.1", "198.51.100.1,", PROXIES, "10.0.0.1"],
    ["not taken from only commas", "10.0.0.1", ",,,", PROXIES, "10.0.0.1"],
    ["not taken from an obfuscated identifier", "10.0.0.1", "_hidden", PROXIES, "10.0.0.1"],
    ["not taken from text with a line break", "10.0.0.1", "1.1.1.1\r\nX: 8.8.8.8", PROXIES, "10.0.0.1"],
    ["read from an entry with a port", "10.0.0.1", "198.51.100.1:4711", PROXIES, "198.51.100.1"],
    ["read from IPv6 in brackets", "10.0.0.1", "[2001:db8::1]", PROXIES, "2001:db8::1"],
    ["read from IPv6 in brackets with a port", "10.0.0.1", "[2001:DB8::1]:443", PROXIES, "2001:db8::1"],
    ["read from bare IPv6", "10.0.0.1", "2001:db8:0:0::1", PROXIES, "2001:db8::1"],
    ["IPv4 when the header maps it into IPv6", "10.0.0.1", "::ffff:198.51.100.1", PROXIES, "198.51.100.1"],
    ["IPv4 when the socket maps it into IPv6", "::ffff:203.0.113.9", null, NOBODY, "203.0.113.9"],
    ["found when the trusted peer is mapped", "::ffff:10.0.0.1", "198.51.100.1", PROXIES, "198.51.100.1"],
    [
      "found when a trusted hop is mapped",
      "10.0.0.1",
      "198.51.100.1, ::ffff:10.0.0.2",
      PROXIES,
      "198.51.100.1",
    ],
    ["without its zone", "fe80::1%eth0", null, NOBODY, "fe80::1"],
    ["empty when the peer has no address", "", "198.51.100.1", PROXIES, ""],
    ["empty when the peer is garbage", "unix:/run/hop", "198.51.100.1", PROXIES, ""],
  ] as const)("is %s", (_name, peer, header, trusted, expected) => {
    expect(clientIp(peer, header, trusted)).toBe(expected);
  });

  test("cannot be forged by whatever a client sends ahead of what the proxy appends", () => {
    const forged = fc.oneof(
      fc.string({ unit: "binary" }),
      fc
        .array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("", ",", "10.0.0.1", "unknown")), {
          maxLength: 10,
        })
        .map((x) => x.join(", ")),
    );
    const real = fc.ipV4().filter((ip) => !PROXIES.has(ip));
    fc.assert(
      fc.property(forged, real, fc.nat(3), (sent, ip, hops) => {
        const header = [sent, ip, ...Array.from({ length: hops }, (_, i) => `10.0.0.${i}`)].join(", ");
        expect(clientIp("10.0.0.99", header, PROXIES)).toBe(ip);
      }),
      { numRuns: 1000 },
    );
  });

  test("is always a canonical address or empty, and never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.option(fc.string({ unit: "binary" })), (peer, header) => {
        expect(clientIp(peer, header, PROXIES)).toBe(canonicalIp(peer) ?? "");
        const seen = clientIp("10.0.0.1", header, PROXIES);
        expect(canonicalIp(seen)).toBe(seen);
      }),
      { numRuns: 1000 },
    );
  });
});
