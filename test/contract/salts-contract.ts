// What every SaltStore promises.
import { beforeEach, describe, expect, test } from "bun:test";
import type { SaltStore } from "../../src/clicks/salt-keeper.ts";
import type { OpenStores } from "./stores.ts";

const candidate = (seed: number) => new Uint8Array(32).fill(seed);

export function describeSaltStore(name: string, open: OpenStores): void {
  describe(`visitor salts in ${name}`, () => {
    let salts: SaltStore;
    beforeEach(async () => {
      ({ salts } = await open());
    });

    const saltOf = async (day: string, seed: number) => (await salts.salt(day, candidate(seed)))[0];

    test("the first candidate of a day becomes its salt", async () => {
      expect(Buffer.from(await salts.salt("2030-01-31", candidate(1)))).toEqual(Buffer.from(candidate(1)));
      expect(await saltOf("2030-01-31", 2)).toBe(1);
      expect(await saltOf("2030-02-01", 3)).toBe(3);
    });

    test("everybody who asks at once gets the same salt", async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, seed) => saltOf("2030-01-31", seed)));
      expect(new Set(answers).size).toBe(1);
    });

    test("salts older than yesterday are deleted, yesterday's and later ones stay", async () => {
      const days = ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"];
      for (const [seed, day] of days.entries()) await saltOf(day, seed);
      await salts.deleteOld("2024-03-01");
      const after: unknown[] = [];
      for (const day of days) after.push(await saltOf(day, 99));
      expect(after).toEqual([99, 99, 2, 3, 4]);
    });
  });
}
