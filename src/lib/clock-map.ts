// A bounded map that keeps what is used: FIFO with a second chance (the CLOCK algorithm).

interface Slot<V> {
  readonly value: V;
  readonly bytes: number;
  used: boolean;
}

/**
 * Bounded by entries and by bytes. A hit only sets a flag, where LRU would have to move the entry; on a full map the
 * oldest entry goes unless it was used since, in which case it gets another round (Corbató, "A paging experiment with
 * the Multics system", 1968).
 */
export class ClockMap<K, V> {
  readonly #slots = new Map<K, Slot<V>>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(bounds: { maxEntries: number; maxBytes: number }) {
    this.#maxEntries = bounds.maxEntries;
    this.#maxBytes = bounds.maxBytes;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** What the entries' callers said they weigh, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: K): V | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    // A popular entry's line of memory is not written again with every hit.
    if (!slot.used) slot.used = true;
    return slot.value;
  }

  /** @param bytes what the entry weighs; one that alone exceeds the bound is not kept. */
  set(key: K, value: V, bytes: number): void {
    this.delete(key);
    if (bytes > this.#maxBytes) return;
    while (this.#slots.size >= this.#maxEntries || this.#bytes + bytes > this.#maxBytes) this.#evict();
    this.#slots.set(key, { value, bytes, used: false });
    this.#bytes += bytes;
  }

  delete(key: K): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#bytes -= slot.bytes;
  }

  clear(): void {
    this.#slots.clear();
    this.#bytes = 0;
  }

  #evict(): void {
    for (const [key, slot] of this.#slots) {
      if (!slot.used) {
        this.delete(key);
        return;
      }
      // Map iteration visits re-inserted keys last, so this is the hand of the clock moving on.
      slot.used = false;
      this.#slots.delete(key);
      this.#slots.set(key, slot);
    }
  }
}
