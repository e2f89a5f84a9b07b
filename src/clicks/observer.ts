// From a request to a click: who came, from where, with what, without keeping an address.
import type { HeaderReader } from "../lib/headers.ts";
import { Memo } from "../lib/memo.ts";
import type { Agent, Click, Profile } from "./click.ts";
import {
  type AgentReader,
  contentId,
  type CountryReader,
  language,
  referrerHost,
  visitorHash,
} from "./visitor.ts";

/** Gives the salt of a UTC day, at once. */
export type SaltOfDay = (day: string) => Uint8Array;

export interface ClickObserverOptions {
  readonly salt: SaltOfDay;
  readonly agents: AgentReader;
  readonly countries: CountryReader;
}

const DAY_MS = 86_400_000;
/** Kinds of visits that are remembered at least; twice as many at most, of this many characters each. */
const REMEMBERED_KINDS = 5_000;
const MAX_KIND_LENGTH = 1_000;

export class ClickObserver {
  readonly #options: ClickObserverOptions;
  readonly #profiles = new Memo<Profile>(REMEMBERED_KINDS);
  #saltUntilMs = 0;
  #salt = "";

  constructor(options: ClickObserverOptions) {
    this.#options = options;
  }

  /** @param clientIp used for the country and the visitor hash, then forgotten. */
  observe(linkId: number, atMs: number, clientIp: string, headers: HeaderReader): Click {
    const userAgent = headers.get("user-agent") ?? "";
    return {
      linkId,
      atMs,
      visitor: visitorHash(this.#saltAt(atMs), clientIp, userAgent),
      profile: this.#profile(this.#options.countries.country(clientIp), userAgent, headers),
    };
  }

  /** Most visits are of a kind that was seen before: one look-up instead of reading three headers (1 µs). */
  #profile(country: string, userAgent: string, headers: HeaderReader): Profile {
    const referer = headers.get("referer");
    const acceptLanguage = headers.get("accept-language");
    const kind = `${country}\n${acceptLanguage}\n${referer}\n${userAgent}`;
    const known = this.#profiles.get(kind);
    if (known !== undefined) return known;
    const profile = profileOf(
      country,
      referrerHost(referer),
      language(acceptLanguage),
      this.#options.agents.read(userAgent),
    );
    if (kind.length <= MAX_KIND_LENGTH) this.#profiles.set(kind, profile);
    return profile;
  }

  #saltAt(atMs: number): string {
    if (atMs >= this.#saltUntilMs || atMs < this.#saltUntilMs - DAY_MS) {
      const startOfDayMs = atMs - (atMs % DAY_MS);
      this.#salt = this.#options.salt(new Date(startOfDayMs).toISOString().slice(0, 10)).toHex();
      this.#saltUntilMs = startOfDayMs + DAY_MS;
    }
    return this.#salt;
  }
}

function profileOf(country: string, referrer: string, lang: string, agent: Agent): Profile {
  return {
    id: contentId(country, referrer, lang, String(agent.id)),
    country,
    referrer,
    language: lang,
    agent,
  };
}
