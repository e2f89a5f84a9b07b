// Dates at the edge: every one that is accepted can be stored and shown.
import { describe, expect, test } from "bun:test";
import { createLinkBody } from "../../src/http/schemas.ts";

const body = createLinkBody(() => new Set(["hop.example"]));
const expiring = (expiresAt: unknown) => body.safeParse({ url: "https://example.com/", expiresAt });

describe("a date", () => {
  test.each([
    ["1970-01-01T00:00:00Z", 0],
    ["2030-01-31T12:00:00+14:00", Date.parse("2030-01-30T22:00:00Z")],
    ["9999-12-31T23:59:59.999Z", Date.parse("9999-12-31T23:59:59.999Z")],
    ["2024-02-29T00:00:00-00:30", Date.parse("2024-02-29T00:30:00Z")],
  ])("%s is read as a moment", (text, ms) => {
    expect(expiring(text).data?.expiresAt?.getTime()).toBe(ms);
  });

  test.each([
    "9999-12-31T23:59:59-14:00",
    "1969-12-31T23:59:59Z",
    "2023-02-29T00:00:00Z",
    "2030-01-31T24:00:00Z",
    "2030-01-31T12:00:00",
    "2030-01-31",
    "+010000-01-01T00:00:00Z",
    "now",
    "",
    1_893_456_000_000,
  ])("%j is refused with an example", (value) => {
    const [issue] = expiring(value).error?.issues ?? [];
    expect([issue?.path, issue?.message]).toEqual([
      ["expiresAt"],
      "must be a date and time with a zone, as in 2030-01-31T12:00:00Z",
    ]);
  });
});
