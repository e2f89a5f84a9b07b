// Batches as bytes: nothing is lost on the way, old spools stay readable, and damage is an error.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { BatchFormatError, decodeBatch, encodeBatch } from "../../src/clicks/batch-codec.ts";
import type { ClickBatch } from "../../src/clicks/click.ts";
import { anyBatch, FIXED_BATCH } from "../helpers/batches.ts";

/** FIXED_BATCH as the first hop with a spool wrote it. It must be readable for ever; a new layout is a new version. */
const VERSION_1 = Uint8Array.fromHex(
  [
    "010f7e1b9c5a1d4c7e9b1a3d2c4e5f6a7b0201ac0280a8bdfdae6e030100ffffffffffffffff00ffffffffffff",
    "ff7f00024445010c6e6577732e6578616d706c650202646500981287461f9ff28e030746697265666f7804054c",
    "696e75780000464d6f7a696c6c612f352e3020285831313b204c696e7578207838365f36343b2072763a313430",
    "2e3029204765636b6f2f32303130303130312046697265666f782f3134302e3005076465736b746f7000060d62",
    "6f7773657220322e31352e30a08d0601ffffffffffffff7f01000000000000008007025a5a080008012a000000",
    "000000000907556e6b6e6f776e041e0e142920c39c6265726375726c2f382e3920f09f98800a03626f74010680",
    "8080808020d00f000000000000000000",
  ].join(""),
);

/** Nothing but a batch or a BatchFormatError may come of any bytes. */
function decodesOrRefuses(bytes: Uint8Array): ClickBatch | undefined {
  try {
    return decodeBatch(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(BatchFormatError);
    return undefined;
  }
}

describe("a batch as bytes", () => {
  test("comes back as it was", () => {
    fc.assert(fc.property(anyBatch, (batch) => expect(decodeBatch(encodeBatch(batch))).toEqual(batch)));
  });

  test("of version 1 is readable for ever", () => {
    expect(decodeBatch(VERSION_1)).toEqual(FIXED_BATCH);
  });

  test("is written as version 1 was", () => {
    expect(encodeBatch(FIXED_BATCH).toHex()).toBe(VERSION_1.toHex());
  });

  test("gives clicks of one profile one object again, and profiles of one agent one agent", () => {
    const [first, , third] = decodeBatch(encodeBatch(FIXED_BATCH)).clicks;
    expect(first?.profile).toBe(third?.profile as NonNullable<typeof third>["profile"]);
  });

  test("takes less than 120 bytes a click, with 32 user agents that all differ", () => {
    const [click] = FIXED_BATCH.clicks;
    if (click === undefined) throw new Error("the batch has clicks");
    const clicks = Array.from({ length: 32 }, (_, index) => {
      const system = ["Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Linux; Android 15"][index % 3];
      const text = `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${120 + index}.0.${6_000 + index * 97}.0 Safari/537.36`;
      const agent = { ...click.profile.agent, id: `${index}`, text, os: `${system}` };
      return { ...click, linkId: 10_000 + index, profile: { ...click.profile, id: `${index}`, agent } };
    });
    expect(encodeBatch({ ...FIXED_BATCH, clicks }).length / 32).toBeLessThan(120);
  });

  test("of an unknown version is refused by its number", () => {
    const later = Uint8Array.from(VERSION_1);
    later[0] = 9;
    expect(() => decodeBatch(later)).toThrow(
      new BatchFormatError("a batch of version 9; this hop reads version 1"),
    );
  });

  test("cut short at any length is refused", () => {
    for (let length = 0; length < VERSION_1.length; length++) {
      expect(() => decodeBatch(VERSION_1.subarray(0, length))).toThrow(BatchFormatError);
    }
  });

  test("with bytes behind it is refused", () => {
    expect(() => decodeBatch(Buffer.concat([VERSION_1, Uint8Array.of(0)]))).toThrow("1 bytes follow");
  });

  test("with any byte changed is another batch or refused", () => {
    for (let at = 0; at < VERSION_1.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = Uint8Array.from(VERSION_1);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        decodesOrRefuses(damaged);
      }
    }
  });

  test("made of garbage is refused", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodesOrRefuses(bytes)));
    const header = VERSION_1.subarray(0, 19);
    const behindHeader = fc.uint8Array({ maxLength: 200 });
    fc.assert(fc.property(behindHeader, (bytes) => void decodesOrRefuses(Buffer.concat([header, bytes]))));
  });

  test("that claims more clicks than its bytes can hold is refused before they are counted", () => {
    // A time of 0 and 2^53 - 1 clicks, behind a true header.
    const claim = Uint8Array.fromHex("0100ffffffffffffff0f");
    expect(() => decodeBatch(Buffer.concat([VERSION_1.subarray(0, 19), claim]))).toThrow(
      "9007199254740991 clicks cannot be in 0 bytes",
    );
  });

  test.each([
    ["a producer without a UUID", { producer: { ...FIXED_BATCH.producer, id: "p1" } }],
    ["a number that is no integer", { seq: 1.5 }],
    ["a negative number", { seq: -1 }],
  ])("with %s cannot be written", (_, change) => {
    expect(() => encodeBatch({ ...FIXED_BATCH, ...change })).toThrow(BatchFormatError);
  });

  test.each([
    ["a text beyond all bounds", { referrer: "x".repeat(5_000) }, "a text of 5000 characters"],
    ["an id that is no integer", { id: "p1" }, "BigInt"],
  ])("with %s cannot be written", (_, change, message) => {
    const [click] = FIXED_BATCH.clicks;
    if (click === undefined) throw new Error("the batch has clicks");
    const odd = { ...FIXED_BATCH, clicks: [{ ...click, profile: { ...click.profile, ...change } }] };
    expect(() => encodeBatch(odd)).toThrow(BatchFormatError);
    expect(() => encodeBatch(odd)).toThrow(message);
  });
});
