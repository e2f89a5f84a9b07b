// From a request to a click: who came, from where, with what, without keeping an address.
import type { Click } from "./click.ts";
import {
  type CountryReader,
  type HeaderReader,
  language,
  referrerHost,
  type UserAgentReader,
  visitorHash,
} from "./visitor.ts";

/** Gives the salt of a UTC day, at once. */
export type SaltOfDay = (day: string) => Uint8Array;

export interface ClickObserverOptions {
  readonly salt: SaltOfDay;
  readonly userAgents: UserAgentReader;
  readonly countries: CountryReader;
}

const DAY_MS = 86_400_000;

export class ClickObserver {
  readonly #options: ClickObserverOptions;
  #saltUntilMs = 0;
  #salt: Uint8Array = new Uint8Array();

  constructor(options: ClickObserverOptions) {
    this.#options = options;
  }

  /** @param clientIp used for the country and the visitor hash, then forgotten. */
  observe(linkId: number, atMs: number, clientIp: string, headers: HeaderReader): Click {
    const userAgent = headers.get("user-agent") ?? "";
    const { browser, os, device, bot } = this.#options.userAgents.read(userAgent);
    return {
      linkId,
      atMs,
      visitor: visitorHash(this.#saltAt(atMs), clientIp, userAgent),
      country: this.#options.countries.country(clientIp),
      referrer: referrerHost(headers.get("referer")),
      browser,
      os,
      device,
      language: language(headers.get("accept-language")),
      bot,
    };
  }

  #saltAt(atMs: number): Uint8Array {
    if (atMs >= this.#saltUntilMs || atMs < this.#saltUntilMs - DAY_MS) {
      const startOfDayMs = atMs - (atMs % DAY_MS);
      this.#salt = this.#options.salt(new Date(startOfDayMs).toISOString().slice(0, 10));
      this.#saltUntilMs = startOfDayMs + DAY_MS;
    }
    return this.#salt;
  }
}
