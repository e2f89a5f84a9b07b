// The ports that have two implementations, opened together because ids lead from one to the other.
import type { ClickReader, ClickStore } from "../../src/clicks/ports.ts";
import type { Rollup } from "../../src/clicks/rollup.ts";
import type { SaltStore } from "../../src/clicks/salt-keeper.ts";
import type { KeyStore } from "../../src/keys/key.ts";
import type { IdempotencyStore, LinkStore, NewLink } from "../../src/links/ports.ts";

export interface Stores {
  readonly links: LinkStore;
  readonly idempotency: IdempotencyStore;
  readonly clicks: ClickStore;
  readonly reader: ClickReader;
  readonly rollup: Rollup;
  readonly keys: KeyStore;
  readonly salts: SaltStore;
}

/** Empty stores; called before every test. */
export type OpenStores = () => Promise<Stores>;

/** A link to make, of which only the code matters. */
export function newLink(code: string, rest: Partial<NewLink> = {}): NewLink {
  return {
    code,
    chosen: true,
    url: `https://example.com/${code}`,
    title: null,
    tags: [],
    status: 302,
    expiresAt: null,
    ...rest,
  };
}

/** Text that a careless array literal, pattern or quote would change. */
export const ODD_TEXTS = [
  "NULL",
  "null",
  '"',
  "'",
  "''",
  "\\",
  "\\\\",
  '\\"',
  "{}",
  '{"a","b"}',
  ",",
  "a,b",
  " spaces ",
  "$1",
  "%s",
  "--",
  "; DROP TABLE links",
  "\u{1F4A9}",
  "e\u0301 is not \u00e9",
  "\u202Ertl",
  "日本語",
  "\uFFFD",
];
