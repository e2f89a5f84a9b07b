// Compact binary: what was written is read, and nothing is read that is not there.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ByteReader, BytesError, ByteWriter } from "../../src/lib/bytes.ts";

type Step =
  | { kind: "u8" | "u32" | "varint" | "zigzag"; value: number }
  | { kind: "bigint64"; value: bigint }
  | { kind: "text"; value: string }
  | { kind: "bytes"; value: Uint8Array };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("u8" as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant("u32" as const), value: fc.nat(2 ** 32 - 1) }),
  fc.record({ kind: fc.constant("varint" as const), value: fc.oneof(fc.nat(300), fc.maxSafeNat()) }),
  fc.record({
    kind: fc.constant("zigzag" as const),
    value: fc.oneof(fc.integer({ min: -200, max: 200 }), fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 })),
  }),
  fc.record({
    kind: fc.constant("bigint64" as const),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  }),
  fc.record({ kind: fc.constant("text" as const), value: fc.string({ unit: "binary", maxLength: 60 }) }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 60 }) }),
);

function write(steps: readonly Step[]): Uint8Array {
  // The least capacity, so that it has to grow.
  const writer = new ByteWriter(1);
  for (const step of steps) {
    if (step.kind === "bigint64") writer.bigint64(step.value);
    else if (step.kind === "text") writer.text(step.value);
    else if (step.kind === "bytes") writer.bytes(step.value);
    else writer[step.kind](step.value);
  }
  return writer.finish();
}

function read(reader: ByteReader, { kind, value }: Step) {
  return kind === "bytes" ? Uint8Array.from(reader.bytes(value.length)) : reader[kind]();
}

describe("bytes", () => {
  test("read back whatever was written, in the same order", () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const reader = new ByteReader(write(steps));
        for (const step of steps) {
          const value: unknown = read(reader, step);
          expect(value).toEqual(step.value);
        }
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  test("that end too early are refused by every read, at every length", () => {
    fc.assert(
      fc.property(step, (step) => {
        const whole = write([step]);
        for (let length = 0; length < whole.length; length++) {
          expect(() => read(new ByteReader(whole.subarray(0, length)), step)).toThrow(BytesError);
        }
      }),
    );
  });

  test("a small number takes one byte, of either sign", () => {
    for (const value of [0, 1, 127]) expect(write([{ kind: "varint", value }])).toHaveLength(1);
    for (const value of [-64, 0, 63]) expect(write([{ kind: "zigzag", value }])).toHaveLength(1);
    expect(write([{ kind: "varint", value: 128 }])).toHaveLength(2);
  });

  test("a number that is no safe integer is refused, both ways", () => {
    const writer = new ByteWriter();
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53])
      expect(() => writer.varint(value)).toThrow(BytesError);
    for (const value of [0.3, 2 ** 52, -(2 ** 52) - 1])
      expect(() => writer.zigzag(value)).toThrow(BytesError);
    expect(() => new ByteReader(new Uint8Array(9).fill(0xff)).varint()).toThrow("too large");
  });

  test("a length beyond the end is refused before anything is set aside for it", () => {
    const huge = write([{ kind: "varint", value: Number.MAX_SAFE_INTEGER }]);
    expect(() => new ByteReader(huge).text()).toThrow(
      /^9007199254740991 bytes wanted at byte 8, 0 are left$/,
    );
  });

  test("text that is not UTF-8 is refused", () => {
    expect(() => new ByteReader(Uint8Array.of(2, 0xc3, 0x28)).text()).toThrow("not UTF-8");
  });
});
