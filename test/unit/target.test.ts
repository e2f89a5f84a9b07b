// parseTarget: what may be stored as a link's target, and what must never be.

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { AppError } from "../../src/lib/errors.ts";
import { MAX_TARGET_LENGTH, parseTarget } from "../../src/links/target.ts";
import { KEPT, REFUSED } from "../helpers/target-cases.ts";

const NOBODY: ReadonlySet<string> = new Set();
const HOP: ReadonlySet<string> = new Set([
  "hop.example",
  "go.example:8080",
  "xn--mnchen-3ya.example",
  "[::1]:9000",
  "explicit.example:443",
]);

/** The message of the refusal, or undefined when the target was accepted. */
function refusal(raw: string, ownHosts = NOBODY): string | undefined {
  try {
    parseTarget(raw, ownHosts);
    return undefined;
  } catch (error) {
    if (!(error instanceof AppError)) {
      throw error;
    }
    expect(error.code).toBe("INVALID");
    expect(error.fields.map((field) => field.path)).toEqual(["url"]);
    return error.fields[0]?.message ?? "";
  }
}

describe("a target", () => {
  test.each(KEPT)("%p is stored as %p", (raw, stored) => {
    expect(parseTarget(raw, NOBODY)).toBe(stored);
  });

  test.each(REFUSED)("%p is refused with advice", (raw, message) => {
    expect(refusal(raw)).toMatch(message);
  });

  test("may be exactly 4,096 characters long and no longer", () => {
    const prefix = "https://example.com/";
    const longest = prefix + "a".repeat(MAX_TARGET_LENGTH - prefix.length);
    expect(parseTarget(longest, NOBODY)).toBe(longest);
    expect(refusal(`${longest}a`)).toMatch(/is 4097 characters long; shorten/);
  });

  test("is measured as it is stored too", () => {
    const prefix = "https://example.com/";
    const fits = Math.floor((MAX_TARGET_LENGTH - prefix.length) / 6);
    expect(parseTarget(prefix + "ü".repeat(fits), NOBODY)).toHaveLength(prefix.length + fits * 6);
    expect(refusal(prefix + "ü".repeat(fits + 1))).toMatch(/once its special characters are encoded/);
    // The slash that the parser adds is the 4,097th character.
    const bare = "https://example.com?";
    expect(refusal(bare + "a".repeat(MAX_TARGET_LENGTH - bare.length))).toMatch(
      /is 4097 characters long once/,
    );
  });

  test("of 253 host characters is accepted and of 254 is refused", () => {
    const host = `${"a".repeat(63)}.`.repeat(3) + "b".repeat(61);
    expect(parseTarget(`http://${host}/`, NOBODY)).toBe(`http://${host}/`);
    expect(refusal(`http://${host}b/`)).toMatch(/no host name/);
  });
});

describe("hop's own host", () => {
  test.each([
    "https://hop.example/abc",
    "http://hop.example/abc",
    "https://HOP.Example/abc",
    "https://hop.example./abc",
    "https://hop.example:443/abc",
    "http://hop.example:80/abc",
    "http://hop.example:443/abc",
    "https://hop.example:80/abc",
    "https://ｈｏｐ.example/abc",
    "https://hop。example/abc",
    "https://hop.example",
    "https://hop.example?x",
    "http://go.example:8080/abc",
    "http://GO.example.:8080/abc",
    "http://go.example:08080/abc",
    "https://go.example:8080/abc",
    "https://münchen.example/abc",
    "https://MÜNCHEN.example./abc",
    "https://xn--mnchen-3ya.example/abc",
    "https://XN--MNCHEN-3YA.example/abc",
    "http://[::1]:9000/abc",
    "http://[0:0:0:0:0:0:0:1]:9000/abc",
    "http://explicit.example/abc",
    "https://explicit.example/abc",
  ])("is recognised in %p", (raw) => {
    expect(refusal(raw, HOP)).toMatch(/leads back/);
  });

  test.each([
    "https://hop.example:8443/",
    "https://www.hop.example/",
    "https://hop.example.evil.example/",
    "https://nothop.example/",
    "http://go.example/",
    "http://go.example:8081/",
    "http://[::1]:9001/",
    "https://munchen.example/",
    "https://other.example/?next=https://hop.example/abc",
  ])("is not seen in %p", (raw) => {
    expect(refusal(raw, HOP)).toBeUndefined();
  });
});

describe("whatever is given", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme" }),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    fc
      .tuple(fc.constantFrom("http://", "https://", "HTTP://"), fc.string({ unit: "binary" }))
      .map((x) => x.join("")),
    fc
      .tuple(fc.constant("https://example.com/"), fc.string({ unit: "binary" }), fc.string())
      .map((x) => x.join("")),
    fc
      .array(
        fc.constantFrom(
          "http:",
          "//",
          "\\",
          "@",
          ":",
          "\r\n",
          "\0",
          "%0d",
          "\u202e",
          "[",
          "]",
          "a",
          ".",
          " ",
          "#",
          "\ud800",
        ),
      )
      .map((parts) => parts.join("")),
  );

  test("the answer is a refusal with advice or a target that is safe in a header, bounded and stable", () => {
    fc.assert(
      fc.property(hostile, (raw) => {
        if (refusal(raw, HOP) !== undefined) {
          return;
        }
        const stored = parseTarget(raw, HOP);
        expect(stored).toMatch(/^https?:\/\/[\x21-\x7e]+$/);
        expect(stored.length).toBeLessThanOrEqual(MAX_TARGET_LENGTH);
        expect(parseTarget(stored, HOP)).toBe(stored);
        const url = new URL(stored);
        expect([url.username, url.password, url.href]).toEqual(["", "", stored]);
        expect(HOP.has(url.host.replace(/\.$/, ""))).toBe(false);
      }),
      { numRuns: 3000 },
    );
  });

  test("an ordinary web address is accepted and leads where it led", () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (raw) => {
        expect(parseTarget(raw, NOBODY)).toBe(new URL(raw).href);
      }),
      { numRuns: 1000 },
    );
  });

  test("one control character anywhere is enough to refuse", () => {
    const control = fc.oneof(fc.integer({ min: 0, max: 0x1f }), fc.integer({ min: 0x7f, max: 0x9f }));
    const base = "https://example.com/path?q=1#f";
    fc.assert(
      fc.property(control, fc.nat(base.length), (code, at) => {
        const raw = base.slice(0, at) + String.fromCharCode(code) + base.slice(at);
        expect(refusal(raw)).toMatch(/control|begins or ends/);
      }),
    );
  });
});
