// A buffer of routes: how one is laid out in it.
import { LINK_STATUSES, type Route } from "./link.ts";

/** Places and lengths are counted in these, and numbers are where the processor likes them. */
export const DOUBLE = 8;
const WORD = 4;

// A record is doubles, then words, then the code and the target, a byte or two for each character.
const LINK_ID = 0;
const VERSION = 1;
const EXPIRES_AT = 2;
const FRESH_UNTIL = 3;
const HASH = 8;
const EPOCH = 9;
const TARGET_LENGTH = 10;
const CODE_LENGTH = 11;
const RECORD_DOUBLES = 12;
const FLAGS = 13;
const HEAD_BYTES = 14 * WORD;

// Flags; the lowest bits are the status, its place in LINK_STATUSES.
const STATUS_BITS = 0b11;
const DELETED = 1 << 2;
/** The target takes two bytes a character. */
const WIDE = 1 << 3;
const LIVE = 1 << 4;
const USED = 1 << 5;

const ASCII = /^[\0-\x7f]*$/;

export interface RouteRecord {
  readonly code: string;
  readonly hash: number;
  readonly route: Route;
  readonly freshUntilMs: number;
  readonly epoch: number;
}

/** What a route takes. */
export function doublesOf(code: string, { target }: Route): number {
  return Math.ceil((HEAD_BYTES + code.length + target.length * (ASCII.test(target) ? 1 : 2)) / DOUBLE);
}

/** No other code can be asked for. */
export function canBeKept(code: string): boolean {
  return ASCII.test(code);
}

/** Records one after another, some of them dead. Only places where one begins may be asked for. */
export class RouteSegment {
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  /** In doubles: where the next record goes. */
  end = 0;

  constructor(doubles: number) {
    this.#bytes = Buffer.allocUnsafeSlow(doubles * DOUBLE);
    this.#words = new Int32Array(this.#bytes.buffer);
    this.#doubles = new Float64Array(this.#bytes.buffer);
  }

  doublesAt(at: number): number {
    return this.#words[2 * at + RECORD_DOUBLES] ?? 0;
  }

  hashAt(at: number): number {
    return this.#words[2 * at + HASH] ?? 0;
  }

  isLive(at: number): boolean {
    return (this.#flagsAt(at) & LIVE) !== 0;
  }

  isFresh(at: number, epoch: number, nowMs: number): boolean {
    return this.#words[2 * at + EPOCH] === epoch && (this.#doubles[at + FRESH_UNTIL] ?? 0) > nowMs;
  }

  holds(at: number, code: string): boolean {
    if (this.#words[2 * at + CODE_LENGTH] !== code.length) return false;
    const start = at * DOUBLE + HEAD_BYTES;
    for (let index = 0; index < code.length; index++) {
      if (this.#bytes[start + index] !== code.charCodeAt(index)) return false;
    }
    return true;
  }

  /** The route of a live record, which is in use by that. */
  read(at: number, codeLength: number): Route {
    const flags = this.#flagsAt(at);
    // A popular record's line of memory is not written again with every hit.
    if ((flags & USED) === 0) this.#words[2 * at + FLAGS] = flags | USED;
    const start = at * DOUBLE + HEAD_BYTES + codeLength;
    const length = this.#words[2 * at + TARGET_LENGTH] ?? 0;
    return {
      linkId: this.#doubles[at + LINK_ID] ?? 0,
      version: this.#doubles[at + VERSION] ?? 0,
      target:
        (flags & WIDE) === 0
          ? this.#bytes.toString("latin1", start, start + length)
          : this.#bytes.toString("utf16le", start, start + 2 * length),
      status: LINK_STATUSES[(flags & STATUS_BITS) as 0 | 1 | 2 | 3],
      expiresAtMs: this.#doubles[at + EXPIRES_AT] ?? 0,
      deleted: (flags & DELETED) !== 0,
    };
  }

  /** There must be as much room as `doublesOf` says. */
  write(at: number, { code, hash, route, freshUntilMs, epoch }: RouteRecord, use: "used" | "unused"): void {
    this.#doubles[at + LINK_ID] = route.linkId;
    this.#doubles[at + VERSION] = route.version;
    this.#doubles[at + EXPIRES_AT] = route.expiresAtMs;
    this.#doubles[at + FRESH_UNTIL] = freshUntilMs;
    const head = 2 * at;
    const isWide = !ASCII.test(route.target);
    this.#words[head + HASH] = hash;
    this.#words[head + EPOCH] = epoch;
    this.#words[head + TARGET_LENGTH] = route.target.length;
    this.#words[head + CODE_LENGTH] = code.length;
    this.#words[head + RECORD_DOUBLES] = doublesOf(code, route);
    this.#words[head + FLAGS] =
      LIVE |
      LINK_STATUSES.indexOf(route.status) |
      (use === "used" ? USED : 0) |
      (route.deleted ? DELETED : 0) |
      (isWide ? WIDE : 0);
    const start = at * DOUBLE + HEAD_BYTES;
    this.#bytes.write(code, start, "latin1");
    this.#bytes.write(route.target, start + code.length, isWide ? "utf16le" : "latin1");
  }

  /** Its bytes stay until the segment is compacted. */
  kill(at: number): void {
    this.#words[2 * at + FLAGS] = 0;
  }

  /** True when it was in use since the last time; from now on it counts as unused. */
  spare(at: number): boolean {
    const flags = this.#flagsAt(at);
    this.#words[2 * at + FLAGS] = flags & ~USED;
    return (flags & USED) !== 0;
  }

  /** Closes the gaps of dead records. `moving` hears where a live one is and will be, before it moves. */
  compact(moving: (from: number, to: number) => void): void {
    let end = 0;
    let doubles: number;
    for (let at = 0; at < this.end; at += doubles) {
      doubles = this.doublesAt(at);
      if (!this.isLive(at)) continue;
      if (at !== end) {
        moving(at, end);
        this.#doubles.copyWithin(end, at, at + doubles);
      }
      end += doubles;
    }
    this.end = end;
  }

  #flagsAt(at: number): number {
    return this.#words[2 * at + FLAGS] ?? 0;
  }
}
