// Clicks for tests.
import type { Click } from "../../src/clicks/click.ts";

/** A click of link 1 by visitor 1, at a fixed time. */
export function aClick(rest: Partial<Click> = {}): Click {
  return {
    linkId: 1,
    atMs: Date.parse("2030-01-31T12:00:00Z"),
    visitor: "1",
    country: "DE",
    referrer: "news.example",
    browser: "Firefox",
    os: "Linux",
    device: "desktop",
    language: "de",
    bot: false,
    ...rest,
  };
}
