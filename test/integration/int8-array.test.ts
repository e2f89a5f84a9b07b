// Numbers that travel to Postgres in its binary form.
import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fc from "fast-check";
import { int8Array } from "../../src/storage/postgres/int8-array.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

test("safe integers and 64-bit integers arrive exactly, in their order, beside parameters that are text", async () => {
  const { sql } = database;
  const values = fc.array(fc.oneof(fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)));
  await fc.assert(
    fc.asyncProperty(values, fc.uuid(), async (given, word) => {
      const [row] = await sql<{ numbers: string[]; word: string }[]>`
        SELECT to_json(${int8Array(sql, given)}::bigint[]::text[]) AS numbers, ${word} AS word`;
      expect(row).toEqual({ numbers: given.map(String), word });
    }),
    { examples: [[[-1, 0, 2 ** 32, -(2 ** 32), Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER], "a"]] },
  );
});
