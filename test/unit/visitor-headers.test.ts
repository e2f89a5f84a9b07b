// What hop keeps of a visitor's headers: coarse values out of closed sets, never the headers' own words.

import { describe, expect, test } from "bun:test";
import { BROWSER_MAP, OS_MAP } from "bowser";
import * as fc from "fast-check";
import { AgentReader, isPrefetch, language, referrerHost } from "../../src/clicks/visitor.ts";

const CHROME =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
const IPAD =
  "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";
const EDGE = `${CHROME} Edg/126.0.0.0`;
const MAC =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15";
const PIXEL =
  "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36";
const TIZEN =
  "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36";
const GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

describe("a user agent", () => {
  const reader = new AgentReader({ entries: 100 });

  test.each([
    [CHROME, "Chrome", "Windows", "desktop"],
    [EDGE, "Microsoft Edge", "Windows", "desktop"],
    [FIREFOX, "Firefox", "Linux", "desktop"],
    [MAC, "Safari", "macOS", "desktop"],
    [IPHONE, "Safari", "iOS", "mobile"],
    [PIXEL, "Chrome", "Android", "mobile"],
    [IPAD, "Safari", "iOS", "tablet"],
  ] as const)("%p is a person's", (agent, browser, os, device) => {
    expect(reader.read(agent)).toMatchObject({ browser, os, device, bot: false });
  });

  test("of a television is a television's", () => {
    expect(reader.read(TIZEN)).toMatchObject({ os: "Tizen", device: "tv", bot: false });
  });

  test.each([
    GOOGLEBOT,
    "curl/8.5.0",
    "Wget/1.21",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Twitterbot/1.0",
    "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.1; +https://openai.com/gptbot)",
  ])("%p is a bot's", (agent) => {
    expect(reader.read(agent)).toMatchObject({ device: "bot", bot: true });
  });

  test("that is missing counts as a bot's", () => {
    expect(reader.read("")).toMatchObject({ browser: "Unknown", os: "Unknown", device: "bot", bot: true });
  });

  test("that names no known browser does not get its own words into reports", () => {
    const { browser, os } = reader.read("<script>alert(1)</script>/1.0 (evil)");
    expect([browser, os]).toEqual(["Unknown", "Unknown"]);
  });

  test("yields only values of closed sets, whatever it says", () => {
    const browsers = new Set([
      ...Object.values(BROWSER_MAP),
      "Miui",
      "Opera Touch",
      "PlayStation 4",
      "SlimerJS",
      "Unknown",
    ]);
    const systems = new Set([...Object.values(OS_MAP), "Unknown"]);
    const agent = fc.oneof(
      fc.string({ unit: "binary", maxLength: 600 }),
      fc
        .array(
          fc.constantFrom(
            "Mozilla/5.0",
            " (",
            ")",
            "; ",
            "Chrome/1",
            "Android",
            "Version/",
            "Safari",
            "Evil/6",
            "TV",
            "\n",
            "bot",
          ),
          { maxLength: 30 },
        )
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(agent, (text) => {
        const read = reader.read(text);
        expect(browsers.has(read.browser)).toBe(true);
        expect(systems.has(read.os)).toBe(true);
        expect(["desktop", "mobile", "tablet", "tv", "bot", "unknown"]).toContain(read.device);
        expect(read.bot).toBe(read.device === "bot");
        expect(reader.read(text)).toEqual(read);
      }),
      { numRuns: 1000 },
    );
  });

  test("is read only as far as its 512th character", () => {
    const padded = `${CHROME}${" ".repeat(512 - CHROME.length)}`;
    const { browser, os, device, bot } = reader.read(CHROME);
    expect(reader.read(`${padded} Googlebot/2.1`)).toMatchObject({
      text: padded.replace(/\d/g, "0"),
      browser,
      os,
      device,
      bot,
    });
    const faraway = `Mozilla/5.0 (X11; Linux x86_64) ${"Gecko/1 ".repeat(10_000)}`;
    expect(reader.read(`${faraway} Googlebot/2.1`)).toEqual(reader.read(faraway));
  });

  test("is remembered: the same header gives the very same object", () => {
    const first = reader.read(FIREFOX);
    expect(reader.read(`${FIREFOX} `.slice(0, -1))).toBe(first);
  });
});

describe("a referrer", () => {
  test.each([
    [null, ""],
    ["", ""],
    ["https://www.Example.com/path?q=secret#x", "www.example.com"],
    ["http://example.com:8080/", "example.com"],
    ["https://user:pw@example.com/", "example.com"],
    ["https://example.com./", "example.com"],
    ["https://münchen.example/", "xn--mnchen-3ya.example"],
    ["http://[2001:db8::1]:80/", "[2001:db8::1]"],
    ["android-app://com.google.Android.gm/", "com.google.android.gm"],
    ["about:blank", ""],
    ["data:text/html,x", ""],
    ["javascript:alert(1)", ""],
    ["file:///etc/passwd", ""],
    ["example.com", ""],
    ["/path", ""],
    ["http://", ""],
    ["http://a b/", ""],
    ["http://a'b/", ""],
    ["android-app://%00<script>/", ""],
    [`https://${"a.".repeat(127)}com/`, ""],
    [`https://${"a.".repeat(126)}com/`, `${"a.".repeat(126)}com`],
  ])("%p is kept as %p", (header, host) => {
    expect(referrerHost(header)).toBe(host);
  });

  test("is never more than a short host of plain characters", () => {
    const header = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.webUrl(),
      fc.string().map((x) => `https://${x}`),
    );
    fc.assert(
      fc.property(header, (text) => {
        const host = referrerHost(text);
        expect(host).toMatch(/^(?:[a-z0-9._-]*|\[[0-9a-f:.]+\])$/);
        expect(host.length).toBeLessThanOrEqual(255);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a language", () => {
  test.each([
    [null, ""],
    ["", ""],
    ["de", "de"],
    ["de-CH, en;q=0.5", "de"],
    ["EN-us", "en"],
    ["en;q=0.5, fr;q=0.9", "fr"],
    ["en;q=0.8,fr;q=0.8", "en"],
    ["zh-Hant-TW", "zh"],
    ["fil-PH,en", "fil"],
    ["*", ""],
    ["*, fr;q=0.3", "fr"],
    ["de;q=0", ""],
    ["de ; q = 0.3", "de"],
    ["x-klingon", ""],
    ["i-navajo", ""],
    ["english", ""],
    ["e", ""],
    ["12", ""],
    ["de_DE", ""],
    ["garbage garbage, it", "it"],
    ["de;q=abc", ""],
    ["ſk", ""],
    ["'; DROP TABLE clicks; --", ""],
    [`${"x,".repeat(50)}de`, ""],
  ])("%p is kept as %p", (header, tag) => {
    expect(language(header)).toBe(tag);
  });

  test("is two or three small letters or nothing, whatever is sent", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(language(text)).toMatch(/^(?:[a-z]{2,3})?$/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a prefetch", () => {
  test.each([
    ["Sec-Purpose", "prefetch"],
    ["Sec-Purpose", "prefetch;prerender"],
    ["Sec-Purpose", "prefetch; anonymous-client-ip"],
    ["Purpose", "prefetch"],
    ["Purpose", "preview"],
    ["X-Purpose", "preview"],
    ["X-Purpose", "Prefetch"],
    ["X-Moz", "prefetch"],
  ])("is recognised by %s: %s", (name, value) => {
    expect(isPrefetch(new Headers({ [name]: value }))).toBe(true);
  });

  test("is not seen where a person navigates", () => {
    expect(isPrefetch(new Headers())).toBe(false);
    expect(isPrefetch(new Headers({ "Sec-Fetch-Mode": "navigate", "User-Agent": "prefetch" }))).toBe(false);
    expect(
      isPrefetch(new Headers({ Purpose: "", "X-Moz": "microsummary", "Sec-Purpose": "prefetched" })),
    ).toBe(false);
  });
});
