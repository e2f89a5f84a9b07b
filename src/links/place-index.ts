// Where records are, by the hash of their key: an array with open addressing, which the garbage collector does not look into.

const PLACE_BYTES = 8;
const FIRST_PLACES = 1_024;

/**
 * Two words for each place: where a record is plus one, and its hash; the first is 0 where there is nothing. Collisions go
 * behind each other (linear probing), and there are at least twice as many places as records. With the hashes here, growing
 * reads no records.
 */
export class PlaceIndex {
  /** More must not be added. */
  readonly maxEntries: number;
  #words: Int32Array;
  #size = 0;

  /** @param maxBytes for one record at least it may take more */
  constructor(maxBytes: number) {
    const maxPlaces = 2 ** Math.floor(Math.log2(Math.max(2, maxBytes / PLACE_BYTES)));
    this.maxEntries = maxPlaces / 2;
    this.#words = new Int32Array(2 * Math.min(FIRST_PLACES, maxPlaces));
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  /** Where the record is that has this hash and, as `holds` says, this key. */
  find(hash: number, key: string, holds: (record: number, key: string) => boolean): number | undefined {
    const words = this.#words;
    const mask = words.length - 1;
    for (let at = (2 * hash) & mask; ; at = (at + 2) & mask) {
      const found = words[at] ?? 0;
      if (found === 0) return undefined;
      if (words[at + 1] === hash && holds(found - 1, key)) return found - 1;
    }
  }

  /** A record that is not there yet. */
  add(hash: number, record: number): void {
    this.#size++;
    if (4 * this.#size > this.#words.length) this.#grow();
    this.#put(hash, record + 1);
  }

  /** The record, which is there, is elsewhere from now on. */
  move(hash: number, from: number, to: number): void {
    this.#words[this.#at(hash, from)] = to + 1;
  }

  /** The record, which is there, is gone. The gap is closed: Knuth, The Art of Computer Programming 3, 6.4, algorithm R. */
  remove(hash: number, record: number): void {
    this.#size--;
    const words = this.#words;
    const mask = words.length - 1;
    let gap = this.#at(hash, record);
    for (let at = (gap + 2) & mask; words[at] !== 0; at = (at + 2) & mask) {
      const home = (2 * (words[at + 1] ?? 0)) & mask;
      // It may move into the gap unless its home lies behind that.
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      words[gap] = words[at] ?? 0;
      words[gap + 1] = words[at + 1] ?? 0;
      gap = at;
    }
    words[gap] = 0;
  }

  #at(hash: number, record: number): number {
    const mask = this.#words.length - 1;
    let at = (2 * hash) & mask;
    while (this.#words[at] !== record + 1) at = (at + 2) & mask;
    return at;
  }

  #put(hash: number, found: number): void {
    const words = this.#words;
    const mask = words.length - 1;
    let at = (2 * hash) & mask;
    while (words[at] !== 0) at = (at + 2) & mask;
    words[at] = found;
    words[at + 1] = hash;
  }

  #grow(): void {
    const before = this.#words;
    this.#words = new Int32Array(before.length * 2);
    for (let at = 0; at < before.length; at += 2) {
      const found = before[at] ?? 0;
      if (found !== 0) this.#put(before[at + 1] ?? 0, found);
    }
  }
}

/** FNV-1a (Fowler, Noll, Vo), with its bits mixed once more (Appleby, MurmurHash3), because the lowest ones are used. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
