// API keys in memory: the other implementation of the keys domain's port.
import type { ApiKey, KeyStore } from "../../src/keys/key.ts";

export class MemoryKeyStore implements KeyStore {
  readonly #keys: ApiKey[] = [];

  async findByHash(hashes: readonly Uint8Array[]): Promise<readonly (ApiKey | undefined)[]> {
    return hashes.map((hash) => this.#keys.find((key) => Buffer.from(key.hash).equals(hash)));
  }

  async insert(key: Pick<ApiKey, "name" | "prefix" | "hash" | "scopes">): Promise<ApiKey> {
    const made = {
      ...key,
      id: this.#keys.length + 1,
      createdAt: new Date(),
      lastUsedAt: null,
      revokedAt: null,
    };
    this.#keys.push(made);
    return made;
  }

  async list(): Promise<readonly ApiKey[]> {
    return [...this.#keys];
  }

  async revoke(id: number): Promise<boolean> {
    return this.#change([id], (key) => (key.revokedAt === null ? { revokedAt: new Date() } : undefined));
  }

  async touch(ids: readonly number[]): Promise<void> {
    this.#change(ids, () => ({ lastUsedAt: new Date() }));
  }

  /** True when a key was changed. */
  #change(ids: readonly number[], change: (key: ApiKey) => Partial<ApiKey> | undefined): boolean {
    let changed = false;
    for (const [index, key] of this.#keys.entries()) {
      const difference = ids.includes(key.id) ? change(key) : undefined;
      if (difference === undefined) continue;
      this.#keys[index] = { ...key, ...difference };
      changed = true;
    }
    return changed;
  }
}
