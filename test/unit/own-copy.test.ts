// What is remembered of a request is not the request: the memory of what was cut from long texts, with and without a copy.
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { ownCopy } from "../../src/lib/own-copy.ts";

const TEXTS = 500;
const LENGTH = 100_000;

/** Bytes that stay with pieces of long texts, kept as `keep` makes them. */
function heldBytes(keep: (piece: string) => string): number {
  const held: string[] = [];
  Bun.gc(true);
  const before = heapStats().extraMemorySize;
  for (let number = 0; number < TEXTS; number++) {
    const text = Buffer.alloc(LENGTH, `${number} `).toString("latin1");
    held.push(keep(text.slice(10, 20)));
  }
  Bun.gc(true);
  const bytes = heapStats().extraMemorySize - before;
  expect(held).toHaveLength(TEXTS);
  return bytes;
}

test("a copy keeps only itself, where a piece keeps all of the text it was cut from", () => {
  expect(heldBytes((piece) => piece)).toBeGreaterThan((TEXTS * LENGTH) / 2);
  expect(heldBytes(ownCopy)).toBeLessThan((TEXTS * LENGTH) / 10);
  expect(ownCopy("K\u00fcrbis")).toBe("K\u00fcrbis");
});
