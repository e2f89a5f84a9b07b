// What every KeyStore promises.
import { beforeEach, describe, expect, test } from "bun:test";
import {
  type ApiKey,
  describeKey,
  generateKey,
  hashKey,
  type KeyStore,
  type Scope,
} from "../../src/keys/key.ts";
import { ODD_TEXTS, type OpenStores } from "./stores.ts";

const bytes = (hash: Uint8Array | undefined) => hash && Buffer.from(hash).toString("hex");

export function describeKeyStore(name: string, open: OpenStores): void {
  describe(`API keys in ${name}`, () => {
    let keys: KeyStore;
    beforeEach(async () => {
      ({ keys } = await open());
    });

    const insert = (label: string, scopes: readonly Scope[] = ["links:read"]): Promise<ApiKey> =>
      keys.insert({ name: label, ...describeKey(generateKey()), scopes });

    test("a key is answered whole and found by its hash", async () => {
      const { prefix, hash } = describeKey(generateKey());
      const made = await keys.insert({ name: "ci", prefix, hash, scopes: ["stats:read", "links:write"] });
      expect(made).toMatchObject({
        name: "ci",
        prefix,
        scopes: ["stats:read", "links:write"],
        lastUsedAt: null,
        revokedAt: null,
      });
      expect(made.createdAt).toBeInstanceOf(Date);
      expect(bytes(made.hash)).toBe(bytes(hash));
      expect(await keys.findByHash([hash])).toEqual([made]);
    });

    test("keys come in the order of the hashes, undefined where there is none", async () => {
      const [a, b] = [await insert("a"), await insert("b")];
      const found = await keys.findByHash([b.hash, hashKey("unknown"), a.hash, b.hash]);
      expect(found.map((key) => key?.name)).toEqual(["b", undefined, "a", "b"]);
      expect(await keys.findByHash([])).toEqual([]);
    });

    test("keys are listed in the order they were made, also revoked ones", async () => {
      const ids: number[] = [];
      for (const label of ["one", "two", "three"]) ids.push((await insert(label)).id);
      await keys.revoke(ids[0] ?? 0);
      expect((await keys.list()).map((key) => key.name)).toEqual(["one", "two", "three"]);
    });

    test("a key is revoked once, and found as revoked from then on", async () => {
      const [ended, other] = [await insert("ended"), await insert("other")];
      const answers = await Promise.all(Array.from({ length: 4 }, () => keys.revoke(ended.id)));
      expect(answers.filter(Boolean)).toHaveLength(1);
      const [found, untouched] = await keys.findByHash([ended.hash, other.hash]);
      expect(found?.revokedAt).toBeInstanceOf(Date);
      expect(untouched?.revokedAt).toBeNull();
    });

    test("a key that does not exist cannot be revoked", async () => {
      expect(await keys.revoke(123_456_789_012)).toBe(false);
    });

    test("the last use is remembered for the keys that were used", async () => {
      const [a, b, c] = [await insert("a"), await insert("b"), await insert("c")];
      await keys.touch([a.id, c.id]);
      await keys.touch([]);
      const used = (await keys.findByHash([a.hash, b.hash, c.hash])).map((key) => key?.lastUsedAt);
      expect(used).toEqual([expect.any(Date), null, expect.any(Date)]);
    });

    test("names of any text and keys without scopes arrive intact", async () => {
      for (const text of ODD_TEXTS) expect((await insert(text, [])).name).toBe(text);
      expect((await keys.list()).map((key) => [key.name, key.scopes])).toEqual(
        ODD_TEXTS.map((text) => [text, []]),
      );
    });
  });
}
