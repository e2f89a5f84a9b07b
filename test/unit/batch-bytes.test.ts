// Batches as bytes: nothing is lost on the way, old spools stay readable, and damage is an error.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeBatch, KnownParts } from "../../src/clicks/batch-decoder.ts";
import { encodeBatch } from "../../src/clicks/batch-encoder.ts";
import { BatchFormatError } from "../../src/clicks/batch-format.ts";
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

/** The same batch as the first hop that packed wrote it, readable for ever too. Other releases of zstd may write other frames. */
const VERSION_2 = Uint8Array.fromHex(
  [
    "029e0228b52ffd601e00350800e40e010f7e1b9c5a1d4c7e9b1a3d2c4e5f6a7b0201ac0280a8bdfdae6e030100",
    "ff00ff7f00024445010c6e6577732e6578616d706c650202646500981287461f9ff28e030746697265666f7804",
    "054c696e75780000464d6f7a696c6c612f352e3020285831313b20207838365f36343b2072763a3134302e3029",
    "204765636b6f2f3230313030313031202f05076465736b746f7000060d626f7773657220322e31352e30a08d06",
    "01ff7f01008007025a5a080008012a000907556e6b6e6f776e041e0e142920c39c6265726375726c2f382e3920",
    "f09f98800a03626f740106808080808020d00f000000000000000000080060787c903e663ce8bd6a427ed1b319",
    "80db19c803",
  ].join(""),
);

/** Clicks that have nothing in common but the words that all browsers use. */
function batchOf(count: number): ClickBatch {
  const [click] = FIXED_BATCH.clicks;
  if (click === undefined) throw new Error("the batch has clicks");
  const clicks = Array.from({ length: count }, (_, index) => {
    const word = Bun.hash(`word ${index}`).toString(36);
    const text = `Mozilla/5.0 (Linux; Android 15; ${word}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36`;
    const agent = { ...click.profile.agent, id: BigInt(index), text, os: "Android" };
    const profile = { ...click.profile, id: BigInt(index), referrer: `${word}.example.com`, agent };
    return { ...click, linkId: 10_000 + index, visitor: Bun.hash(word) >> 1n, profile };
  });
  return { ...FIXED_BATCH, clicks };
}

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

  test("of version 2 is readable for ever", () => {
    expect(decodeBatch(VERSION_2)).toEqual(FIXED_BATCH);
  });

  test("is packed when its clicks have little in common, and comes back as it was", () => {
    const batch = batchOf(32);
    const bytes = encodeBatch(batch);
    expect(bytes[0]).toBe(2);
    expect(bytes.length / 32).toBeLessThan(90);
    expect(decodeBatch(bytes)).toEqual(batch);
  });

  test("is not packed when it is small, or when its clicks are of few kinds", () => {
    expect(encodeBatch(batchOf(3))[0]).toBe(1);
    const { clicks } = batchOf(8);
    const alike = { ...FIXED_BATCH, clicks: Array.from({ length: 8 }, () => clicks).flat() };
    expect(encodeBatch(alike)[0]).toBe(1);
  });

  test("that unfolds to more than it may is refused before it unfolds", () => {
    const zeros = Bun.zstdCompressSync(Buffer.alloc(1 << 20), { level: 1 });
    for (const claim of ["808040", "e807"]) {
      const bomb = Buffer.concat([Uint8Array.fromHex(`02${claim}`), zeros]);
      expect(() => decodeBatch(bomb)).toThrow(BatchFormatError);
    }
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
      const agent = { ...click.profile.agent, id: BigInt(index), text, os: `${system}` };
      return { ...click, linkId: 10_000 + index, profile: { ...click.profile, id: BigInt(index), agent } };
    });
    expect(encodeBatch({ ...FIXED_BATCH, clicks }).length / 32).toBeLessThan(120);
  });

  test("of an unknown version is refused by its number", () => {
    const later = Uint8Array.from(VERSION_1);
    later[0] = 9;
    expect(() => decodeBatch(later)).toThrow(
      new BatchFormatError("a batch of version 9; this hop reads versions 1 and 2"),
    );
  });

  test.each([-1, Date.UTC(9999, 0), 2 ** 51])(
    "with a click at %d ms, which no clock shows, is refused",
    (atMs) => {
      const [click] = FIXED_BATCH.clicks;
      if (click === undefined) throw new Error("the batch has clicks");
      const bytes = encodeBatch({ ...FIXED_BATCH, clicks: [click, { ...click, atMs }] });
      expect(() => decodeBatch(bytes)).toThrow(
        new BatchFormatError(`a click at ${atMs} ms; the years 1970 to 9998 are allowed`),
      );
    },
  );

  test.each([VERSION_1, VERSION_2])("cut short at any length is refused", (bytes) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeBatch(bytes.subarray(0, length))).toThrow(BatchFormatError);
    }
  });

  test("with bytes behind it is refused", () => {
    expect(() => decodeBatch(Buffer.concat([VERSION_1, Uint8Array.of(0)]))).toThrow("1 bytes follow");
  });

  test.each([VERSION_1, VERSION_2])("with any byte changed is another batch or refused", (bytes) => {
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = Uint8Array.from(bytes);
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

  test("comes back as it was behind others of the same producers and profiles", () => {
    const draws = fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), {
      minLength: 2,
      maxLength: 5,
    });
    fc.assert(
      fc.property(anyBatch, draws, fc.constantFrom(0, 1, 100), (batch, sequence, remembered) => {
        const profiles = new Set(batch.clicks.map(({ profile }) => profile));
        fc.pre(profiles.size > 0 && new Set([...profiles].map(({ id }) => id)).size === profiles.size);
        const known = new KnownParts(remembered);
        for (const draw of sequence) {
          const clicks = draw.flatMap((index) => batch.clicks[index % batch.clicks.length] ?? []);
          expect(decodeBatch(encodeBatch({ ...batch, clicks }), known)).toEqual({ ...batch, clicks });
        }
      }),
    );
  });

  test("of clicks that were seen before makes no new objects of producers and profiles", () => {
    const known = new KnownParts(10);
    const [one, other] = [FIXED_BATCH, FIXED_BATCH].map((batch) => decodeBatch(encodeBatch(batch), known));
    expect(one?.producer).toBe(other?.producer as NonNullable<typeof other>["producer"]);
    expect(one?.clicks).toHaveLength(FIXED_BATCH.clicks.length);
    for (const [index, click] of (one?.clicks ?? []).entries())
      expect(click.profile).toBe(other?.clicks[index]?.profile as typeof click.profile);
  });

  test("from a hop of other rules keeps its own words, also behind a profile that is known by older ones", () => {
    const [click] = FIXED_BATCH.clicks;
    if (click === undefined) throw new Error("the batch has clicks");
    const { profile } = click;
    const judgedAgain = { ...profile.agent, browser: "Better", os: "Other", device: "new", rules: "later" };
    const unseen = {
      ...profile,
      id: 7n,
      agent: { ...judgedAgain, id: 8n, text: `${profile.agent.text} unlike` },
    };
    const later = [
      { ...click, profile: { ...profile, agent: judgedAgain } },
      { ...click, profile: unseen },
    ];
    const known = new KnownParts(10);
    decodeBatch(encodeBatch(FIXED_BATCH), known);
    const decoded = decodeBatch(encodeBatch({ ...FIXED_BATCH, clicks: later }), known);
    expect(decoded.clicks.map((each) => each.profile)).toEqual([profile, unseen]);
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

  test("with a word that no index of Postgres takes is neither written nor read", () => {
    const [click] = FIXED_BATCH.clicks;
    if (click === undefined) throw new Error("the batch has clicks");
    const withReferrer = (length: number) => {
      const profile = { ...click.profile, referrer: "x".repeat(length) };
      return { ...FIXED_BATCH, clicks: [{ ...click, profile }] };
    };
    expect(() => encodeBatch(withReferrer(256))).toThrow(
      new BatchFormatError("a text of 256 characters; 255 are allowed"),
    );
    const longest = encodeBatch(withReferrer(255));
    expect(decodeBatch(longest)).toEqual(withReferrer(255));
    // Behind its length, a varint.
    const [before = "", after = ""] = longest.toString("latin1").split(`\xff\x01${"x".repeat(255)}`);
    const longer = Buffer.from(`${before}\x80\x02${"x".repeat(256)}${after}`, "latin1");
    expect(() => decodeBatch(longer)).toThrow(
      new BatchFormatError("a text of 256 characters; 255 are allowed"),
    );
  });

  test("with a user agent beyond all bounds cannot be written", () => {
    const [click] = FIXED_BATCH.clicks;
    if (click === undefined) throw new Error("the batch has clicks");
    const agent = { ...click.profile.agent, text: "x".repeat(5_000) };
    const odd = { ...FIXED_BATCH, clicks: [{ ...click, profile: { ...click.profile, agent } }] };
    expect(() => encodeBatch(odd)).toThrow(
      new BatchFormatError("a text of 5000 characters; 4096 are allowed"),
    );
  });
});
