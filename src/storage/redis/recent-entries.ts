// What was confirmed lately, kept so that it can be sent again to a Redis that may not have it.
import { type EntryFields, sizeOf } from "./stream-entries.ts";

export interface RecentEntry {
  readonly fields: EntryFields;
  readonly confirmedAtMs: number;
}

/** In the order of confirmation; when the bytes are too many, the oldest go. */
export class RecentEntries {
  readonly #maxBytes: number;
  #entries: RecentEntry[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get all(): readonly RecentEntry[] {
    return [...this.#entries];
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(fields: EntryFields, confirmedAtMs: number): void {
    this.#entries.push({ fields, confirmedAtMs });
    this.#bytes += sizeOf(fields);
    let excess = 0;
    while (this.#bytes > this.#maxBytes && excess < this.#entries.length) {
      this.#bytes -= sizeOf(this.#entries[excess++]?.fields ?? []);
    }
    if (excess > 0) this.#entries = this.#entries.slice(excess);
  }

  /** Forgets what was confirmed before. */
  prune(beforeMs: number): void {
    const keep = this.#entries.findIndex((entry) => entry.confirmedAtMs >= beforeMs);
    const gone = this.#entries.splice(0, keep === -1 ? this.#entries.length : keep);
    for (const { fields } of gone) this.#bytes -= sizeOf(fields);
  }
}
