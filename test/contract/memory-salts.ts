// Visitor salts in memory: the other implementation of the salt port.
import type { SaltStore } from "../../src/clicks/salt-keeper.ts";

const DAY_MS = 86_400_000;

export class MemorySaltStore implements SaltStore {
  readonly #salts = new Map<string, Uint8Array>();

  async salt(day: string, candidate: Uint8Array): Promise<Uint8Array> {
    const salt = this.#salts.get(day) ?? candidate;
    this.#salts.set(day, salt);
    return salt;
  }

  async deleteOld(today: string): Promise<void> {
    const yesterday = new Date(Date.parse(today) - DAY_MS).toISOString().slice(0, 10);
    for (const day of this.#salts.keys()) if (day < yesterday) this.#salts.delete(day);
  }
}
