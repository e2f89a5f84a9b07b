// What was confirmed lately, kept so that it can be sent again to a Redis that may not have it.
import { type EntryFields, sizeOf } from "./stream-entries.ts";

export interface RecentEntry {
  readonly fields: EntryFields;
  readonly confirmedAtMs: number;
}

/** In the order of confirmation; when the bytes are too many, the oldest go. */
export class RecentEntries {
  readonly #maxBytes: number;
  #entries: (RecentEntry | undefined)[] = [];
  /** Places at the beginning that are empty; they are cut off when they are half of all. */
  #gone = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get all(): readonly RecentEntry[] {
    return this.#entries.filter((entry) => entry !== undefined);
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(fields: EntryFields, confirmedAtMs: number): void {
    this.#entries.push({ fields, confirmedAtMs });
    this.#bytes += sizeOf(fields);
    this.#forgetWhile(() => this.#bytes > this.#maxBytes);
  }

  /** Forgets what was confirmed before. */
  prune(beforeMs: number): void {
    this.#forgetWhile((oldest) => oldest.confirmedAtMs < beforeMs);
  }

  #forgetWhile(isTooMuch: (oldest: RecentEntry) => boolean): void {
    for (;;) {
      const oldest = this.#entries[this.#gone];
      if (oldest === undefined || !isTooMuch(oldest)) break;
      this.#bytes -= sizeOf(oldest.fields);
      this.#entries[this.#gone++] = undefined;
    }
    if (this.#gone * 2 <= this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#gone);
    this.#gone = 0;
  }
}
