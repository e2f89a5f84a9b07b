// Clicks for tests.
import type { Click, Profile } from "../../src/clicks/click.ts";

/** A click of link 1 by visitor 1, at a fixed time. */
export function aClick(rest: Partial<Omit<Click, "profile"> & Profile> = {}): Click {
  const { linkId = 1, atMs = Date.parse("2030-01-31T12:00:00Z"), visitor = "1", ...profile } = rest;
  return {
    linkId,
    atMs,
    visitor,
    profile: {
      country: "DE",
      referrer: "news.example",
      browser: "Firefox",
      os: "Linux",
      device: "desktop",
      language: "de",
      bot: false,
      ...profile,
    },
  };
}
