// What hop keeps of the person behind a click: coarse dimensions and a hash that means nothing after two days.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BROWSER_MAP, OS_MAP, parse as parseUserAgent } from "bowser";
import { version as bowserVersion } from "bowser/package.json";
import { isbot } from "isbot";
import { version as isbotVersion } from "isbot/package.json";
import { type CountryResponse, Reader } from "maxmind";
import type { HeaderReader } from "../lib/headers.ts";
import { SpecialPurposeNetworks, canonicalIp } from "../lib/ip.ts";
import { Memo } from "../lib/memo.ts";
import { ownCopy } from "../lib/own-copy.ts";
import type { Agent } from "./click.ts";

// Written and read within one call. Per hash of a 110-character user agent, conversion to text included: Bun.SHA256 of one
// text into this buffer 0.20 us, fed in two pieces 0.26; node:crypto, Bun.CryptoHasher and BLAKE2b took twice that and more.
const DIGEST = new Uint8Array(32);
const DIGEST_VIEW = new DataView(DIGEST.buffer);

/**
 * 64 bits that tell one day's visitors apart: SHA-256 over salt, address and user agent, cut to a signed integer that
 * suits a Postgres bigint.
 *
 * Privacy: an address alone is guessed by trying all of them. Only the salt prevents that, so whoever deletes the salt
 * makes every hash of its day meaningless for good. A longer hash would be no safer, and 64 bits are enough to count:
 * among four million visitors of a day any two share a hash with probability 4e-7.
 *
 * @param salt 32 random bytes in hexadecimal, one a day, deleted after two days and never logged
 * @param ip as `canonicalIp` spells it, so that one visitor has one hash
 */
export function visitorHash(salt: string, ip: string, userAgent: string): bigint {
  Bun.SHA256.hash(`${salt}\n${ip}\n${userAgent}`, DIGEST);
  return DIGEST_VIEW.getBigInt64(0);
}

/**
 * The id of whatever these texts make up: 64 bits of SHA-256 as a signed integer. Every process gets the same one
 * without asking, and nobody can craft a header that shares another's.
 */
export function contentId(...texts: readonly string[]): bigint {
  Bun.SHA256.hash(texts.join("\n"), DIGEST);
  return DIGEST_VIEW.getBigInt64(0);
}

export type Device = "desktop" | "mobile" | "tablet" | "tv" | "bot" | "unknown";

/** What cannot be told; also where a header names something the parser does not know. */
export const UNKNOWN = "Unknown";

/** Only so much of a User-Agent is looked at: real ones are shorter, and patterns take longer on longer text. */
export const MAX_USER_AGENT_LENGTH = 512;

// bowser's own names, and four that it uses without listing them. Its last resort is to copy a word out of the header,
// which would let strangers write into reports and make any number of values; such a word becomes UNKNOWN.
const BROWSERS: ReadonlySet<string> = new Set([
  ...Object.values(BROWSER_MAP),
  "Miui",
  "Opera Touch",
  "PlayStation 4",
  "SlimerJS",
]);
const DEVICES: readonly Device[] = ["desktop", "mobile", "tablet", "tv"];
const SYSTEMS: ReadonlySet<string> = new Set(Object.values(OS_MAP));

/** The version of the rules below and of the lists that they use: verdicts of another version can be passed again. */
export const AGENT_RULES = `1 bowser@${bowserVersion} isbot@${isbotVersion}`;

/** Reads User-Agent headers, remembering the recent ones: 9 us for a new one, 50 ns for one it knows. */
export class AgentReader {
  readonly #memo: Memo<Agent>;

  /** @param options.entries how many headers are remembered at least; twice as many at most, of 512 characters each. */
  constructor(options: { entries: number }) {
    this.#memo = new Memo(options.entries);
  }

  /** An empty header counts as a bot: every browser sends one, and most programs that send none are scripts. */
  read(userAgent: string): Agent {
    const text = ownCopy(userAgent.slice(0, MAX_USER_AGENT_LENGTH));
    const known = this.#memo.get(text);
    if (known !== undefined) {
      return known;
    }
    const read = judgeAgent(text);
    this.#memo.set(text, read);
    return read;
  }
}

/**
 * What the rules make of a header of at most MAX_USER_AGENT_LENGTH characters. `bot` is true exactly when `device` is "bot".
 * The rules see the header without its numbers, which is also what is kept: names tell browsers and bots apart, while
 * versions and device numbers tell people apart. So judging a kept header again needs nothing else.
 */
export function judgeAgent(header: string): Agent {
  const text = header.replace(/\d/g, "0");
  const id = contentId(text);
  if (text === "") {
    return { id, text, browser: UNKNOWN, os: UNKNOWN, device: "bot", bot: true, rules: AGENT_RULES };
  }
  const { browser, os, platform } = parseUserAgent(text);
  const bot = platform.type === "bot" || isbot(text);
  return {
    id,
    text,
    browser: listed(BROWSERS, browser.name),
    os: listed(SYSTEMS, os.name),
    device: bot ? "bot" : readDevice(platform.type),
    bot,
    rules: AGENT_RULES,
  };
}

function listed(names: ReadonlySet<string>, name: string | undefined): string {
  return name !== undefined && names.has(name) ? name : UNKNOWN;
}

function readDevice(type: string | undefined): Device {
  return DEVICES.find((device) => device === type) ?? "unknown";
}

/** The country of an address that has none: private, loopback, unassigned or no address at all. */
export const NO_COUNTRY = "ZZ";

const COUNTRY_DATABASE = "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb";

/** A flat record; `maxmind` only knows MaxMind's own nested ones. */
type CountryRecord = CountryResponse & { readonly country_code?: unknown };

/**
 * Countries from a public-domain copy of the regional registries' data. Loading takes 10 MB of memory. A lookup costs
 * 2 us and a remembered one 40 ns; addresses stay in this memory and are never stored or logged.
 */
export class CountryReader {
  readonly #reader: Reader<CountryRecord>;
  // The registries' data puts some private networks into the country of whoever documented them.
  readonly #nowhere = new SpecialPurposeNetworks();
  readonly #memo: Memo<string>;

  private constructor(reader: Reader<CountryRecord>, entries: number) {
    this.#reader = reader;
    this.#memo = new Memo(entries);
  }

  /**
   * Opens the database.
   * @param options.entries how many addresses are remembered at least; twice as many at most
   * @param options.path another file in MaxMind's format with a `country_code` a record
   * @throws the file system's error, or an Error when the file is no MaxMind database
   */
  static open(options: { entries?: number; path?: string } = {}): CountryReader {
    const path = options.path ?? fileURLToPath(import.meta.resolve(COUNTRY_DATABASE));
    // Read and not mapped: Bun maps only files that it may write, and hop may not write its own program.
    return new CountryReader(new Reader(readFileSync(path)), options.entries ?? 10_000);
  }

  /** ISO 3166-1 alpha-2, or NO_COUNTRY. Never throws. Only addresses as `canonicalIp` spells them are remembered. */
  country(ip: string): string {
    const known = this.#memo.get(ip);
    if (known !== undefined) {
      return known;
    }
    const address = canonicalIp(ip);
    if (address === undefined) {
      return NO_COUNTRY;
    }
    const country = this.#look(address);
    // Under its canonical spelling, which is short; `ip` may carry a zone of any length.
    this.#memo.set(address, country);
    return country;
  }

  #look(address: string): string {
    if (this.#nowhere.has(address)) {
      return NO_COUNTRY;
    }
    try {
      const code = this.#reader.get(address)?.country_code;
      return typeof code === "string" && /^[A-Z]{2}$/u.test(code) ? code : NO_COUNTRY;
    } catch {
      // A damaged record: a click is worth more than its country.
      return NO_COUNTRY;
    }
  }
}

const MAX_REFERRER_HOST_LENGTH = 255;
const REFERRER_HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/u;

/**
 * The host that a Referer header names, in lower-case ASCII without port and trailing dot, `www.` kept; "" for none.
 * Paths and queries, where search terms and tokens are, are dropped. Android's `android-app://package` counts as a host.
 */
export function referrerHost(header: string | null): string {
  if (header === null || header === "") {
    return "";
  }
  const url = URL.parse(header);
  if (url === null || !["http:", "https:", "android-app:"].includes(url.protocol)) {
    return "";
  }
  const host = url.hostname.toLowerCase().replace(/\.$/u, "");
  return host.length <= MAX_REFERRER_HOST_LENGTH && REFERRER_HOST.test(host) ? host : "";
}

// Subtags as in RFC 5646; a primary subtag of four or more letters names no language in use.
const LANGUAGE_RANGE = /^\s*([a-z]{2,3})(?:-[a-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?$/i;
const MAX_LANGUAGES = 16;

/** The primary subtag of the language a person likes best, as in "de" for `de-CH, en;q=0.5`; "" when there is none. */
export function language(header: string | null): string {
  if (header === null) {
    return "";
  }
  let best = "";
  let bestQuality = 0;
  for (const range of header.slice(0, MAX_LANGUAGES * 50).split(",", MAX_LANGUAGES)) {
    const match = LANGUAGE_RANGE.exec(range);
    const quality = Number(match?.[2] ?? 1);
    if (match?.[1] !== undefined && quality > bestQuality) {
      best = match[1].toLowerCase();
      bestQuality = quality;
    }
  }
  return best;
}

const PREFETCH_HEADERS = ["sec-purpose", "purpose", "x-purpose", "x-moz"] as const;
const PREFETCH = /\b(?:prefetch|prerender|preview)\b/i;

/**
 * Whether a browser asks ahead of its user: a prefetch, a prerender or a page preview, which may never be seen.
 * Sec-Purpose is the Fetch Standard's; the others are what older Chrome, Safari, Firefox and in-app browsers send.
 */
export function isPrefetch(headers: HeaderReader): boolean {
  for (const name of PREFETCH_HEADERS) {
    const value = headers.get(name);
    if (value !== null && PREFETCH.test(value)) return true;
  }
  return false;
}
