// Routes by code, packed into buffers: less than half of what objects take, and nothing for the garbage collector to look at.
import type { Route } from "./link.ts";
import { hashOf, PlaceIndex } from "./place-index.ts";
import { canBeKept, DOUBLE, doublesOf, RouteSegment } from "./route-segment.ts";

/** Bytes of one segment. They are made one after another as routes come. */
const SEGMENT_BYTES = 65_536;
/** A larger record is not kept: it fits wherever the hand has been, which leaves at least so much of a segment. */
const RECORD_MAX = 1 / 4;
/** Entries that are spared in one search for one to give up. */
const SPARED_MAX = 1_000;
/** Of all memory, what the index may take. */
const INDEX_SHARE = 1 / 8;

/**
 * A map from code to route, bounded by entries and by bytes, that keeps what is used: FIFO with a second chance (the CLOCK
 * algorithm: Corbató, "A paging experiment with the Multics system", 1968). The hand goes from record to record and from
 * segment to segment; behind it a segment is compacted, and is the next to be filled.
 *
 * With a code of 7 and a target of 69 characters a route takes 178 bytes of resident memory; as objects in a Map it took 487.
 */
export class PackedRoutes {
  readonly #maxEntries: number;
  readonly #maxSegments: number;
  /** Of each segment. */
  readonly #doubles: number;
  /** By number. A record's place is its segment's number times `#doubles`, and where it begins in there. */
  readonly #segments: RouteSegment[] = [];
  /** Numbers of the segments: the hand is in the first one, and the last one is being filled. */
  readonly #order: number[] = [];
  /** In the first segment, in doubles. */
  #hand = 0;
  /** In the first segment, in doubles: what the hand has spared. */
  #spared = 0;
  readonly #index: PlaceIndex;
  #size = 0;
  /** Routes of an earlier one are not fresh, whatever their time to live. */
  #epoch = 0;

  constructor({ maxEntries, maxBytes }: { maxEntries: number; maxBytes: number }) {
    this.#index = new PlaceIndex(maxBytes * INDEX_SHARE);
    this.#maxEntries = Math.min(maxEntries, this.#index.maxEntries);
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
    return this.#segments.length * this.#doubles * DOUBLE + this.#index.bytes;
  }

  /** The route of this code, unless its life or its epoch is over. */
  fresh(code: string, nowMs: number): Route | undefined {
    const place = this.#find(code, hashOf(code));
    if (place === undefined) return undefined;
    const { segment, at } = this.#recordAt(place);
    return segment.isFresh(at, this.#epoch, nowMs) ? segment.read(at, code.length) : undefined;
  }

  /** The route of this code, however old. */
  any(code: string): Route | undefined {
    const place = this.#find(code, hashOf(code));
    if (place === undefined) return undefined;
    const { segment, at } = this.#recordAt(place);
    return segment.read(at, code.length);
  }

  /** Keeps a route until `freshUntilMs`, and longer where there is room; one that is too large is not kept. */
  set(code: string, route: Route, freshUntilMs: number): void {
    const hash = hashOf(code);
    const doubles = doublesOf(code, route);
    const record = { code, hash, route, freshUntilMs, epoch: this.#epoch };
    const before = this.#find(code, hash);
    if (before !== undefined) {
      const { segment, at } = this.#recordAt(before);
      // Whoever has a life renewed is in use.
      if (segment.doublesAt(at) === doubles) return segment.write(at, record, "used");
      this.#remove(before);
    }
    if (doubles > this.#doubles * RECORD_MAX || !canBeKept(code)) return;
    while (this.#size >= this.#maxEntries) this.#evictOne();
    const segment = this.#segmentWithRoom(doubles);
    const at = segment.end;
    segment.end += doubles;
    segment.write(at, record, "unused");
    this.#size++;
    this.#index.add(hash, (this.#order.at(-1) ?? 0) * this.#doubles + at);
  }

  delete(code: string): void {
    const place = this.#find(code, hashOf(code));
    if (place !== undefined) this.#remove(place);
  }

  /** Nothing that is here now is fresh any more. */
  expireAll(): void {
    this.#epoch = (this.#epoch + 1) | 0;
  }

  #find(code: string, hash: number): number | undefined {
    return this.#index.find(hash, code, this.#holds);
  }

  readonly #holds = (place: number, code: string): boolean => {
    const { segment, at } = this.#recordAt(place);
    return segment.holds(at, code);
  };

  #recordAt(place: number): { segment: RouteSegment; at: number } {
    const segment = this.#segments[Math.floor(place / this.#doubles)] as RouteSegment;
    return { segment, at: place % this.#doubles };
  }

  #remove(place: number): void {
    const { segment, at } = this.#recordAt(place);
    segment.kill(at);
    this.#size--;
    this.#index.remove(segment.hashAt(at), place);
  }

  /** The segment that is being filled, with so much room in it. */
  #segmentWithRoom(doubles: number): RouteSegment {
    for (;;) {
      const segment = this.#segments[this.#order.at(-1) ?? -1];
      if (segment !== undefined && segment.end + doubles <= this.#doubles) return segment;
      if (this.#segments.length < this.#maxSegments) {
        this.#order.push(this.#segments.length);
        this.#segments.push(new RouteSegment(this.#doubles));
      } else this.#sweep();
    }
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

  get #handSegment(): RouteSegment {
    return this.#segments[this.#order[0] ?? 0] as RouteSegment;
  }

  /** Spares or removes the record under the hand, if it is there at all. @returns whether it was spared */
  #pass(segment: RouteSegment, chances: number): boolean {
    const at = this.#hand;
    const doubles = segment.doublesAt(at);
    this.#hand += doubles;
    if (!segment.isLive(at)) return false;
    const room = this.#doubles * (1 - RECORD_MAX) - this.#spared;
    if (chances <= 0 || doubles > room || !segment.spare(at)) {
      this.#remove((this.#order[0] ?? 0) * this.#doubles + at);
      return false;
    }
    this.#spared += doubles;
    return true;
  }

  /** The hand goes to the next segment; the one that it leaves is compacted, and filled next. */
  #turn(segment: RouteSegment): void {
    const number = this.#order.shift() ?? 0;
    this.#order.push(number);
    this.#hand = 0;
    this.#spared = 0;
    const start = number * this.#doubles;
    segment.compact((from, to) => this.#index.move(segment.hashAt(from), start + from, start + to));
  }
}
