// Routes by code, packed into buffers: a fifth of what objects take, and nothing for the garbage collector to look at.
import { LINK_STATUSES, type Route } from "./link.ts";

/** Bytes of one buffer. They are made one after another as routes come. */
const SEGMENT_BYTES = 65_536;
/** A larger record is not kept: it fits wherever a sweep has been, which leaves at least so much of a segment. */
const RECORD_MAX = 1 / 4;
/** Entries that are spared in one search for one to give up. */
const SPARED_MAX = 1_000;
/** Of all memory, what the index may take. It has at least twice as many places as entries, of two words each. */
const INDEX_SHARE = 1 / 8;
const FIRST_INDEX_PLACES = 1_024;
const INDEX_PLACE_BYTES = 8;

const WORD = 4;
const DOUBLE = 8;
// Where the parts of a record are: doubles, then words, then the code and the target, a byte or two for each character.
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

interface Segment {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  /** In doubles: where the next record goes. */
  end: number;
}

/**
 * A map from code to route, bounded by entries and by bytes, that keeps what is used: FIFO with a second chance (the CLOCK
 * algorithm: Corbató, "A paging experiment with the Multics system", 1968). The hand goes from record to record and from
 * segment to segment; behind it a segment is compacted, and is the next to be filled.
 *
 * With a code of 7 and a target of 69 characters a route takes 144 bytes; as objects in a Map it took 750.
 */
export class PackedRoutes {
  readonly #maxEntries: number;
  readonly #maxSegments: number;
  /** Of each segment. */
  readonly #doubles: number;
  /** By number. A record's place is its segment's number times `#doubles`, and where it begins in there. */
  readonly #segments: Segment[] = [];
  /** Numbers of the segments: the hand is in the first one, and the last one is being filled. */
  readonly #order: number[] = [];
  /** In the first segment, in doubles. */
  #hand = 0;
  /** In the first segment, in doubles: what the hand has spared. */
  #spared = 0;
  /**
   * By hash, two words each: a record's place plus one, and its hash; nothing where the first is 0. Collisions go behind each
   * other (linear probing). With the hashes here, growing reads no records: 9 ms for 500,000 of them.
   */
  #index: Int32Array;
  #size = 0;
  #epoch = 0;

  constructor({ maxEntries, maxBytes }: { maxEntries: number; maxBytes: number }) {
    const maxPlaces = 2 ** Math.floor(Math.log2(Math.max(2, (maxBytes * INDEX_SHARE) / INDEX_PLACE_BYTES)));
    this.#maxEntries = Math.min(maxEntries, maxPlaces / 2);
    this.#index = new Int32Array(2 * Math.min(FIRST_INDEX_PLACES, maxPlaces));
    const recordBytes = maxBytes * (1 - INDEX_SHARE);
    // A small bound holds too: then there are two small segments.
    this.#doubles = Math.max(1, Math.floor(Math.min(SEGMENT_BYTES, recordBytes / 2) / DOUBLE));
    this.#maxSegments = Math.floor(recordBytes / (this.#doubles * DOUBLE));
  }

  get size(): number {
    return this.#size;
  }

  /** Of all memory that was taken so far. */
  get bytes(): number {
    return this.#segments.length * this.#doubles * DOUBLE + this.#index.byteLength;
  }

  /** The route of this code, unless its life or its epoch is over. */
  fresh(code: string, nowMs: number): Route | undefined {
    const place = this.#find(code, hashOf(code));
    if (place === undefined) return undefined;
    const { segment, at } = this.#recordAt(place);
    const isFresh =
      segment.words[2 * at + EPOCH] === this.#epoch && (segment.doubles[at + FRESH_UNTIL] ?? 0) > nowMs;
    return isFresh ? this.#read(segment, at, code.length) : undefined;
  }

  /** The route of this code, however old. */
  any(code: string): Route | undefined {
    const place = this.#find(code, hashOf(code));
    if (place === undefined) return undefined;
    const { segment, at } = this.#recordAt(place);
    return this.#read(segment, at, code.length);
  }

  /** Keeps a route until `freshUntilMs`, and longer where there is room; one that is too large is not kept. */
  set(code: string, route: Route, freshUntilMs: number): void {
    const hash = hashOf(code);
    const wide = !ASCII.test(route.target);
    const bytes = HEAD_BYTES + code.length + route.target.length * (wide ? 2 : 1);
    const doubles = Math.ceil(bytes / DOUBLE);
    const before = this.#find(code, hash);
    if (before !== undefined) {
      const { segment, at } = this.#recordAt(before);
      if (segment.words[2 * at + RECORD_DOUBLES] === doubles) {
        // Whoever has a life renewed is in use.
        return this.#write(segment, at, {
          code,
          hash,
          route,
          freshUntilMs,
          wide,
          doubles,
          flags: LIVE | USED,
        });
      }
      this.#remove(before);
    }
    if (doubles > this.#doubles * RECORD_MAX || !ASCII.test(code)) return;
    while (this.#size >= this.#maxEntries) this.#evictOne();
    const segment = this.#segmentWithRoom(doubles);
    const at = segment.end;
    segment.end += doubles;
    this.#write(segment, at, { code, hash, route, freshUntilMs, wide, doubles, flags: LIVE });
    this.#add(hash, (this.#order.at(-1) ?? 0) * this.#doubles + at);
  }

  delete(code: string): void {
    const place = this.#find(code, hashOf(code));
    if (place !== undefined) this.#remove(place);
  }

  /** Nothing that is here now is fresh any more. */
  expireAll(): void {
    this.#epoch = (this.#epoch + 1) | 0;
  }

  #recordAt(place: number): { segment: Segment; at: number } {
    return {
      segment: this.#segments[Math.floor(place / this.#doubles)] as Segment,
      at: place % this.#doubles,
    };
  }

  #read({ bytes, words, doubles }: Segment, at: number, codeLength: number): Route {
    const head = 2 * at;
    const flags = words[head + FLAGS] ?? 0;
    // A popular record's line of memory is not written again with every hit.
    if ((flags & USED) === 0) words[head + FLAGS] = flags | USED;
    const start = at * DOUBLE + HEAD_BYTES + codeLength;
    const length = words[head + TARGET_LENGTH] ?? 0;
    const target =
      (flags & WIDE) === 0
        ? bytes.toString("latin1", start, start + length)
        : bytes.toString("utf16le", start, start + 2 * length);
    return {
      linkId: doubles[at + LINK_ID] ?? 0,
      version: doubles[at + VERSION] ?? 0,
      target,
      status: LINK_STATUSES[(flags & STATUS_BITS) as 0 | 1 | 2 | 3],
      expiresAtMs: doubles[at + EXPIRES_AT] ?? 0,
      deleted: (flags & DELETED) !== 0,
    };
  }

  #write(
    { bytes, words, doubles }: Segment,
    at: number,
    record: {
      readonly code: string;
      readonly hash: number;
      readonly route: Route;
      readonly freshUntilMs: number;
      readonly wide: boolean;
      readonly doubles: number;
      readonly flags: number;
    },
  ): void {
    const { code, route, wide } = record;
    doubles[at + LINK_ID] = route.linkId;
    doubles[at + VERSION] = route.version;
    doubles[at + EXPIRES_AT] = route.expiresAtMs;
    doubles[at + FRESH_UNTIL] = record.freshUntilMs;
    const head = 2 * at;
    words[head + HASH] = record.hash;
    words[head + EPOCH] = this.#epoch;
    words[head + TARGET_LENGTH] = route.target.length;
    words[head + CODE_LENGTH] = code.length;
    words[head + RECORD_DOUBLES] = record.doubles;
    words[head + FLAGS] =
      record.flags | LINK_STATUSES.indexOf(route.status) | (route.deleted ? DELETED : 0) | (wide ? WIDE : 0);
    const start = at * DOUBLE + HEAD_BYTES;
    bytes.write(code, start, "latin1");
    bytes.write(route.target, start + code.length, wide ? "utf16le" : "latin1");
  }

  /** The segment that is being filled, with so much room in it. */
  #segmentWithRoom(doubles: number): Segment {
    for (;;) {
      const segment = this.#segments[this.#order.at(-1) ?? -1];
      if (segment !== undefined && segment.end + doubles <= this.#doubles) return segment;
      if (this.#segments.length < this.#maxSegments) this.#addSegment();
      else this.#sweep();
    }
  }

  #addSegment(): void {
    const bytes = Buffer.allocUnsafeSlow(this.#doubles * DOUBLE);
    this.#order.push(this.#segments.length);
    this.#segments.push({
      bytes,
      words: new Int32Array(bytes.buffer),
      doubles: new Float64Array(bytes.buffer),
      end: 0,
    });
  }

  /** The hand goes to the end of its segment. */
  #sweep(): void {
    const segment = this.#handSegment;
    while (this.#hand < segment.end) this.#pass(segment, Number.POSITIVE_INFINITY);
    this.#turn(segment);
  }

  /** The hand goes on until one entry is gone. There must be one. */
  #evictOne(): void {
    let chances = SPARED_MAX;
    for (const before = this.#size; this.#size === before;) {
      const segment = this.#handSegment;
      if (this.#hand >= segment.end) this.#turn(segment);
      else if (this.#pass(segment, chances)) chances--;
    }
  }

  get #handSegment(): Segment {
    return this.#segments[this.#order[0] ?? 0] as Segment;
  }

  /** Spares or removes the record under the hand, if it is there at all. @returns whether it was spared */
  #pass(segment: Segment, chances: number): boolean {
    const head = 2 * this.#hand;
    const at = this.#hand;
    const flags = segment.words[head + FLAGS] ?? 0;
    const doubles = segment.words[head + RECORD_DOUBLES] ?? 0;
    this.#hand += doubles;
    if ((flags & LIVE) === 0) return false;
    const room = this.#doubles * (1 - RECORD_MAX) - this.#spared;
    if ((flags & USED) === 0 || chances <= 0 || doubles > room) {
      this.#remove((this.#order[0] ?? 0) * this.#doubles + at);
      return false;
    }
    segment.words[head + FLAGS] = flags & ~USED;
    this.#spared += doubles;
    return true;
  }

  /** The hand goes to the next segment; the one that it leaves is compacted, and filled next. */
  #turn(segment: Segment): void {
    const number = this.#order.shift() ?? 0;
    this.#order.push(number);
    this.#hand = 0;
    this.#spared = 0;
    let end = 0;
    for (let at = 0; at < segment.end;) {
      const doubles = segment.words[2 * at + RECORD_DOUBLES] ?? 0;
      if (((segment.words[2 * at + FLAGS] ?? 0) & LIVE) !== 0) {
        if (at !== end) {
          const index = this.#indexOf(segment.words[2 * at + HASH] ?? 0, number * this.#doubles + at);
          this.#index[index] = number * this.#doubles + end + 1;
          segment.doubles.copyWithin(end, at, at + doubles);
        }
        end += doubles;
      }
      at += doubles;
    }
    segment.end = end;
  }

  #find(code: string, hash: number): number | undefined {
    const index = this.#index;
    const mask = index.length - 1;
    for (let at = (2 * hash) & mask; ; at = (at + 2) & mask) {
      const found = index[at] ?? 0;
      if (found === 0) return undefined;
      if (index[at + 1] === hash && this.#holds(found - 1, code)) return found - 1;
    }
  }

  #holds(place: number, code: string): boolean {
    const { segment, at } = this.#recordAt(place);
    if (segment.words[2 * at + CODE_LENGTH] !== code.length) return false;
    const start = at * DOUBLE + HEAD_BYTES;
    for (let index = 0; index < code.length; index++) {
      if (segment.bytes[start + index] !== code.charCodeAt(index)) return false;
    }
    return true;
  }

  #add(hash: number, place: number): void {
    this.#size++;
    if (4 * this.#size > this.#index.length) {
      const before = this.#index;
      this.#index = new Int32Array(before.length * 2);
      for (let at = 0; at < before.length; at += 2) {
        const found = before[at] ?? 0;
        if (found !== 0) this.#put(before[at + 1] ?? 0, found);
      }
    }
    this.#put(hash, place + 1);
  }

  #put(hash: number, found: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let at = (2 * hash) & mask;
    while (index[at] !== 0) at = (at + 2) & mask;
    index[at] = found;
    index[at + 1] = hash;
  }

  /** Where in the index a record is that surely is there. */
  #indexOf(hash: number, place: number): number {
    const mask = this.#index.length - 1;
    let at = (2 * hash) & mask;
    while (this.#index[at] !== place + 1) at = (at + 2) & mask;
    return at;
  }

  /** Closes the gap in the index too: Knuth, The Art of Computer Programming 3, 6.4, algorithm R. */
  #remove(place: number): void {
    const { segment, at: record } = this.#recordAt(place);
    segment.words[2 * record + FLAGS] = 0;
    this.#size--;
    const index = this.#index;
    const mask = index.length - 1;
    let gap = this.#indexOf(segment.words[2 * record + HASH] ?? 0, place);
    for (let at = (gap + 2) & mask; index[at] !== 0; at = (at + 2) & mask) {
      const home = (2 * (index[at + 1] ?? 0)) & mask;
      // It may move into the gap unless its home lies behind that.
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      index[gap] = index[at] ?? 0;
      index[gap + 1] = index[at + 1] ?? 0;
      gap = at;
    }
    index[gap] = 0;
  }
}

/** FNV-1a (Fowler, Noll, Vo), with its bits mixed once more (Appleby, MurmurHash3), because the lowest ones are used. */
function hashOf(code: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < code.length; index++)
    hash = Math.imul(hash ^ code.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
