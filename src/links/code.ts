// The short codes of links: which are allowed, which hop keeps for itself, and how new ones are drawn.

import { AppError, invalid } from "../lib/errors.ts";

/** Longest code in characters. */
export const MAX_CODE_LENGTH = 64;

/** Letters and digits without the look-alikes 0 O o, 1 l, I i: 55 characters, 1.5e12 codes of length 7. */
export const DEFAULT_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz";

/**
 * Paths hop answers itself or may one day, and those that crawlers and browsers ask for unasked; lower-case.
 * Names with a dot cannot be codes and stand here so that the list is whole.
 */
export const RESERVED: ReadonlySet<string> = new Set(
  (
    ".well-known about account admin api app apple-touch-icon.png apple-app-site-association assets auth billing " +
    "blog callback contact dashboard docs error errors events export favicon.ico graphql health healthz help home " +
    "hop humans.txt images import index index.html internal legal link links livez login logout manifest.json " +
    "metrics new null oauth openapi openapi.json ping preview privacy public qr readyz register robots.txt rss " +
    "security security.txt settings signin signout signup sitemap sitemap.xml static stats status support swagger " +
    "sw.js system terms undefined user users v1 v2 version web webhook webhooks well-known www"
  ).split(" "),
);

/** Whether hop keeps this code for itself, in any letter case. */
export function isReserved(code: string): boolean {
  return RESERVED.has(code.toLowerCase());
}

// A compiled pattern, because the redirect asks this of every path: 19 ns for a code of 7 and 43 ns for one
// of 63, where a loop over character codes takes 42 and 108.
const CODE = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether `text` could be a code: 1-64 of `A-Z a-z 0-9 - _`. Says nothing about reserved words. */
export function isCode(text: string): boolean {
  return CODE.test(text);
}

/**
 * Reads a code that a person chose. Codes are case-sensitive and kept as given.
 * @throws AppError INVALID on `code`, with a message that says how to mend it.
 */
export function parseChosenCode(raw: string): string {
  if (raw === "") {
    throw invalid("code", "is empty; give 1-64 characters, or leave it out to have one made");
  }
  if (raw.length > MAX_CODE_LENGTH) {
    throw invalid("code", `is ${raw.length} characters long; shorten it to ${MAX_CODE_LENGTH} or fewer`);
  }
  if (!isCode(raw)) {
    throw invalid(
      "code",
      "may only contain the letters A-Z and a-z, the digits 0-9, - and _; remove the rest",
    );
  }
  if (isReserved(raw)) {
    throw invalid("code", "is a word this service keeps for itself; choose another");
  }
  return raw;
}

/** A source of `n` random bytes. The generator has read them all before it asks again, so a buffer may be reused. */
export type RandomBytes = (n: number) => Uint8Array;

const POOL_BYTES = 4096;
const MAX_DRAWS = 100;
// More than half of all bytes are accepted, so a healthy source is rejected this often with probability 2^-128.
const MAX_REJECTS = 128;

/**
 * Draws codes uniformly, by rejection sampling from pooled random bytes: no modulo bias, and one call to the system
 * for several hundred codes. Uniqueness is the database's; a caller that meets a collision draws again, or grows.
 */
export class CodeGenerator {
  readonly #alphabet: string;
  readonly #random: RandomBytes;
  readonly #limit: number;
  #length: number;
  #pool: Uint8Array = new Uint8Array(0);
  #used = 0;

  /**
   * @param alphabet 2-64 different characters of `A-Z a-z 0-9 - _`
   * @param length of a code in characters, 1-64
   * @throws AppError INVALID on `alphabet` or `length`
   */
  constructor(alphabet: string, length: number, random: RandomBytes = systemRandom()) {
    if (alphabet.length < 2 || !isCode(alphabet) || new Set(alphabet).size !== alphabet.length) {
      throw invalid("alphabet", "must be 2-64 different characters out of A-Z a-z 0-9 - _");
    }
    checkLength(length);
    this.#alphabet = alphabet;
    this.#length = length;
    this.#random = random;
    this.#limit = 256 - (256 % alphabet.length);
  }

  /** How long the codes are that `next` makes unless told otherwise. */
  get length(): number {
    return this.#length;
  }

  /** Makes codes at least one longer than `fromLength`, up to 64; never shorter than before. */
  grow(fromLength: number): void {
    this.#length = Math.min(MAX_CODE_LENGTH, Math.max(this.#length, Math.trunc(fromLength) + 1));
  }

  /**
   * A fresh random code that is not reserved.
   * @throws AppError TEMPORARILY_UNAVAILABLE when 100 draws were all reserved
   */
  next(length: number = this.#length): string {
    checkLength(length);
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const code = this.#draw(length);
      if (!isReserved(code)) {
        return code;
      }
    }
    throw new AppError(
      "TEMPORARILY_UNAVAILABLE",
      "No unreserved code could be made; try again or choose a code.",
    );
  }

  #draw(length: number): string {
    let code = "";
    while (code.length < length) {
      code += this.#alphabet.charAt(this.#below() % this.#alphabet.length);
    }
    return code;
  }

  /** A byte below the largest multiple of the alphabet's size. */
  #below(): number {
    for (let i = 0; i < MAX_REJECTS; i++) {
      if (this.#used >= this.#pool.length) {
        this.#pool = this.#random(POOL_BYTES);
        this.#used = 0;
      }
      const byte = this.#pool[this.#used++];
      if (byte !== undefined && byte < this.#limit) {
        return byte;
      }
    }
    throw new Error("the source of randomness is stuck");
  }
}

/** The system's CSPRNG into one buffer that is used again and again. */
function systemRandom(): RandomBytes {
  const buffer = new Uint8Array(POOL_BYTES);
  return (n) => crypto.getRandomValues(buffer.subarray(0, n));
}

function checkLength(length: number): void {
  if (!Number.isInteger(length) || length < 1 || length > MAX_CODE_LENGTH) {
    throw invalid("length", `must be a whole number from 1 to ${MAX_CODE_LENGTH}`);
  }
}
