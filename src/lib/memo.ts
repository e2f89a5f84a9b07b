// A bounded memory of computed values, for pure functions that cost microseconds.

/**
 * Remembers between `entries` and twice `entries` values, and forgets those not asked for lately. Two generations
 * instead of a linked list, so that a hit is one Map lookup (the algorithm of npm `hashlru`); a flood of new keys
 * cannot push out a key that is asked for at least once every `entries` new ones.
 */
export class Memo<V, K = string> {
  readonly #entries: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** @param entries size of a generation; 0 remembers nothing. */
  constructor(entries: number) {
    this.#entries = entries;
  }

  /** How many values are held now, at most twice `entries`. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) {
      return young;
    }
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.set(key, old);
    }
    return old;
  }

  /** `undefined` cannot be told from a value that is not there. */
  set(key: K, value: V): void {
    if (this.#entries < 1) {
      return;
    }
    if (this.#young.size >= this.#entries && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
