// Codes: which are allowed, and that generated ones are uniform, unreserved and grow on demand.

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { AppError } from "../../src/lib/errors.ts";
import {
  CodeGenerator,
  DEFAULT_ALPHABET,
  MAX_CODE_LENGTH,
  RESERVED,
  isCode,
  isReserved,
  parseChosenCode,
} from "../../src/links/code.ts";

const SYNTAX = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function failure(run: () => unknown): AppError {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) {
      return error;
    }
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** A source that repeats `bytes` for ever. */
function repeating(bytes: readonly number[]): (n: number) => Uint8Array {
  return (n) => Uint8Array.from({ length: n }, (_, i) => bytes[i % bytes.length] ?? 0);
}

describe("a chosen code", () => {
  test.each([
    "a",
    "Z",
    "0",
    "-",
    "_",
    "--",
    "My-Code_1",
    "__proto__",
    "constructor",
    "x".repeat(64),
    "apis",
    "api2",
  ])("%p is kept as given", (raw) => {
    expect(parseChosenCode(raw)).toBe(raw);
    expect(isCode(raw)).toBe(true);
  });

  test.each([
    ["", /empty/],
    ["x".repeat(65), /65 characters long/],
    ["a b", /may only contain/],
    [" a", /may only contain/],
    ["a\n", /may only contain/],
    ["a\0", /may only contain/],
    ["a/b", /may only contain/],
    ["a.b", /may only contain/],
    ["a+", /may only contain/],
    ["a%20", /may only contain/],
    ["é", /may only contain/],
    ["а", /may only contain/], // Cyrillic
    ["ａ", /may only contain/],
    ["ſ", /may only contain/],
    ["\u212a", /may only contain/], // the Kelvin sign, a K when case is ignored
    ["a\u200b", /may only contain/],
    ["\u{1F4A9}", /may only contain/],
    ["..", /may only contain/],
    ["api", /keeps for itself/],
    ["API", /keeps for itself/],
    ["LiveZ", /keeps for itself/],
    ["readyz", /keeps for itself/],
    ["metrics", /keeps for itself/],
    ["Admin", /keeps for itself/],
    ["well-known", /keeps for itself/],
  ] as const)("%p is refused with advice", (raw, message) => {
    const error = failure(() => parseChosenCode(raw));
    expect(error.code).toBe("INVALID");
    expect(error.fields).toEqual([{ path: "code", message: expect.stringMatching(message) }]);
  });

  test("is accepted exactly when it has the syntax and is not reserved", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 70 }),
      fc.string({ unit: fc.constantFrom(...SYNTAX.split("")), maxLength: 70 }),
      fc.constantFrom(...RESERVED),
    );
    fc.assert(
      fc.property(text, (raw) => {
        const syntax = raw.length >= 1 && raw.length <= 64 && raw.split("").every((c) => SYNTAX.includes(c));
        expect(isCode(raw)).toBe(syntax);
        if (syntax && !isReserved(raw)) {
          expect(parseChosenCode(raw)).toBe(raw);
        } else {
          expect(failure(() => parseChosenCode(raw)).code).toBe("INVALID");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("is reserved in any letter case, and the list itself is lower-case", () => {
    for (const word of RESERVED) {
      expect(word).toBe(word.toLowerCase());
      expect(isReserved(word.toUpperCase())).toBe(true);
    }
  });
});

describe("the default alphabet", () => {
  test("has 55 different characters and no look-alikes", () => {
    expect(new Set(DEFAULT_ALPHABET).size).toBe(55);
    expect(DEFAULT_ALPHABET).toHaveLength(55);
    expect(DEFAULT_ALPHABET).not.toMatch(/[0Oo1lIi]/);
  });
});

describe("a code generator", () => {
  test("makes codes of its alphabet and length that a redirect accepts", () => {
    const alphabets = fc.uniqueArray(fc.constantFrom(...SYNTAX.split("")), { minLength: 2, maxLength: 64 });
    fc.assert(
      fc.property(alphabets, fc.integer({ min: 1, max: 64 }), (characters, length) => {
        const generator = new CodeGenerator(characters.join(""), length);
        for (let i = 0; i < 20; i++) {
          const code = generator.next();
          expect(code).toHaveLength(length);
          expect(isCode(code)).toBe(true);
          expect(code.split("").every((c) => characters.includes(c))).toBe(true);
        }
      }),
    );
  });

  test("gives every character of any alphabet exactly the same share of the random bytes", () => {
    const alphabets = fc.uniqueArray(fc.constantFrom(...SYNTAX.split("")), { minLength: 2, maxLength: 64 });
    const everyByte = repeating(Array.from({ length: 256 }, (_, i) => i));
    fc.assert(
      fc.property(alphabets, (characters) => {
        // Over one round of all 256 bytes each character must be drawn floor(256 / size) times, no more and no fewer.
        const size = characters.length;
        const share = Math.floor(256 / size);
        const generator = new CodeGenerator(characters.join(""), 1, everyByte);
        const drawn = new Map<string, number>();
        for (let i = 0; i < share * size; i++) {
          const code = generator.next();
          drawn.set(code, (drawn.get(code) ?? 0) + 1);
        }
        expect(drawn.size).toBe(size);
        expect(new Set(drawn.values())).toEqual(new Set([share]));
      }),
    );
  });

  test("rejects the bytes above the largest multiple of the alphabet's size", () => {
    const generator = new CodeGenerator("abc", 3, repeating([255, 0, 255, 1, 2]));
    expect(generator.next()).toBe("abc");
  });

  test("does not repeat itself in 100,000 codes of 64 bits and more", () => {
    const generator = new CodeGenerator(DEFAULT_ALPHABET, 12);
    const codes = new Set(Array.from({ length: 100_000 }, () => generator.next()));
    expect(codes.size).toBe(100_000);
  });

  test("asks the system for 4 KiB at a time", () => {
    const asked: number[] = [];
    const generator = new CodeGenerator(SYNTAX, 8, (n) => {
      asked.push(n);
      return crypto.getRandomValues(new Uint8Array(n));
    });
    for (let i = 0; i < 1024; i++) {
      generator.next();
    }
    expect(asked).toEqual([4096, 4096]);
  });

  test("draws again when a code is reserved", () => {
    const generator = new CodeGenerator("apix", 3, repeating([0, 1, 2, 3, 3, 3]));
    expect(generator.next()).toBe("xxx");
  });

  test("gives up as temporarily unavailable when it can only make reserved words", () => {
    const generator = new CodeGenerator("api", 3, repeating([0, 1, 2]));
    expect(failure(() => generator.next()).code).toBe("TEMPORARILY_UNAVAILABLE");
  });

  test("fails instead of hanging when its source is stuck or empty", () => {
    expect(() => new CodeGenerator("abc", 3, repeating([255])).next()).toThrow("stuck");
    expect(() => new CodeGenerator("abc", 3, () => new Uint8Array(0)).next()).toThrow("stuck");
  });

  test("grows past the length that collided, never shrinks, and stops at 64", () => {
    const generator = new CodeGenerator(DEFAULT_ALPHABET, 7);
    generator.grow(7);
    expect(generator.length).toBe(8);
    generator.grow(7); // a second caller that met the same collision
    expect(generator.length).toBe(8);
    generator.grow(3);
    expect(generator.length).toBe(8);
    expect(generator.next()).toHaveLength(8);
    generator.grow(63);
    generator.grow(64);
    generator.grow(1000);
    expect(generator.length).toBe(MAX_CODE_LENGTH);
  });

  test("makes one code of another length without changing its own", () => {
    const generator = new CodeGenerator(DEFAULT_ALPHABET, 7);
    expect(generator.next(20)).toHaveLength(20);
    expect(generator.length).toBe(7);
  });

  test.each([
    ["", 7],
    ["a", 7],
    ["aa", 7],
    ["aba", 7],
    ["a b", 7],
    ["a.b", 7],
    ["aé", 7],
    [`${SYNTAX}~`, 7],
    ["ab", 0],
    ["ab", 65],
    ["ab", 1.5],
    ["ab", Number.NaN],
  ] as const)("refuses alphabet %p with length %p", (alphabet, length) => {
    expect(failure(() => new CodeGenerator(alphabet, length)).code).toBe("INVALID");
  });
});
