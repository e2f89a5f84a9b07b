// A batch of clicks as bytes, for the spool and for streams: compact, versioned, and checked on the way back.
import { ByteReader, BytesError, ByteWriter } from "../lib/bytes.ts";
import { pack, PackError, unpack } from "../lib/pack.ts";
import type { Agent, Click, ClickBatch, Producer, Profile } from "./click.ts";

/** Bytes that are not a batch, or a batch of a version that this hop does not know. */
export class BatchFormatError extends Error {
  override readonly name = "BatchFormatError";
}

const PLAIN = 1;
const PACKED = 2;
/** Above this average a batch is packed. Batches of a few browsers take less, and cost no redirect the time for it. */
const PACKED_CLICK_BYTES = 80;
/** Packing less saves nothing: Redis and the spool round up. */
const PACKED_BYTES_MIN = 1_024;
const RECORDERS = ["inline", "batch", "stream"] as const satisfies readonly Producer["recorder"][];
const ACKS = ["durable", "async"] as const satisfies readonly Producer["ack"][];
/** Link, time, visitor, profile: no click takes fewer bytes. */
const LEAST_CLICK_BYTES = 11;
/** UTF-16 units; headers are cut to 512. It bounds what a few hostile bytes can unfold to. */
const MAX_TEXT_LENGTH = 4_096;

/**
 * Version 1: the version in a byte; the producer's 16 bytes, its recorder and ack in a byte each; seq; the first click's
 * time; the number of clicks; the clicks. A click is link, ms since the first click, visitor, and the number of a profile.
 * The first use of a number is followed by what it stands for, so there are no tables and one pass is enough; agents and
 * words within profiles are numbered in the same way. Of an agent's text only what differs from the last
 * one of the same operating system is there.
 *
 * Measured, on one of two cores, with user agents of 115 characters: 0.19 us to encode a click and 44 bytes in a batch of
 * 32 from 8 browsers; 0.6 us and 104 bytes when all 32 differ.
 *
 * Version 2: the version in a byte, then a batch of version 1, packed. Written where clicks have little in common: 113 bytes
 * a click become 71, for 0.5 us a click.
 *
 * @throws BatchFormatError for a batch that cannot be written: a producer without a UUID, a number or a text out of range
 */
export function encodeBatch(batch: ClickBatch): Uint8Array {
  try {
    const { bytes } = new Encoder(batch);
    if (bytes.length <= Math.max(PACKED_BYTES_MIN, batch.clicks.length * PACKED_CLICK_BYTES)) return bytes;
    const packed = pack(bytes, PACKED);
    return packed !== undefined && packed.length < bytes.length ? packed : bytes;
  } catch (error) {
    throw asFormatError(error);
  }
}

/** @throws BatchFormatError for anything that `encodeBatch` did not write; time and memory are in proportion to `bytes` */
export function decodeBatch(bytes: Uint8Array): ClickBatch {
  try {
    return new Decoder(bytes[0] === PACKED ? unpack(bytes) : bytes).batch;
  } catch (error) {
    throw asFormatError(error);
  }
}

class Encoder {
  readonly bytes: Uint8Array;
  readonly #out: ByteWriter;
  readonly #profiles = new Map<Profile, number>();
  readonly #agents = new Map<Agent, number>();
  readonly #words = new Map<string, number>();
  /** The last text of each operating system: the likeliest to resemble the next. */
  readonly #texts = new Map<string, string>();

  constructor({ producer, seq, clicks }: ClickBatch) {
    const out = new ByteWriter(64 + clicks.length * 64);
    this.#out = out;
    out.u8(PLAIN);
    const id = Buffer.from(producer.id.replaceAll("-", ""), "hex");
    if (id.length !== 16) throw new BatchFormatError(`${producer.id} is not a UUID`);
    out.bytes(id);
    out.u8(RECORDERS.indexOf(producer.recorder));
    out.u8(ACKS.indexOf(producer.ack));
    out.varint(seq);
    const baseMs = clicks[0]?.atMs ?? 0;
    out.zigzag(baseMs);
    out.varint(clicks.length);
    for (const click of clicks) {
      out.varint(click.linkId);
      out.zigzag(click.atMs - baseMs);
      out.bigint64(click.visitor);
      this.#profile(click.profile);
    }
    this.bytes = out.finish();
  }

  #profile(profile: Profile): void {
    if (this.#known(this.#profiles, profile)) return;
    this.#out.bigint64(BigInt(profile.id));
    this.#word(profile.country);
    this.#word(profile.referrer);
    this.#word(profile.language);
    this.#agent(profile.agent);
  }

  #agent(agent: Agent): void {
    if (this.#known(this.#agents, agent)) return;
    this.#out.bigint64(BigInt(agent.id));
    this.#word(agent.browser);
    this.#word(agent.os);
    this.#differing(agent.text, agent.os);
    this.#word(agent.device);
    this.#out.u8(agent.bot ? 1 : 0);
    this.#word(agent.rules);
  }

  #word(word: string): void {
    if (this.#known(this.#words, word)) return;
    checkLength(word.length);
    this.#out.text(word);
  }

  #differing(text: string, os: string): void {
    checkLength(text.length);
    const before = this.#texts.get(os) ?? "";
    const atMost = Math.min(text.length, before.length);
    let prefix = 0;
    while (prefix < atMost && isShared(text.charCodeAt(prefix), before.charCodeAt(prefix))) prefix++;
    let suffix = 0;
    const [last, lastBefore] = [text.length - 1, before.length - 1];
    while (
      suffix < atMost - prefix &&
      isShared(text.charCodeAt(last - suffix), before.charCodeAt(lastBefore - suffix))
    )
      suffix++;
    this.#out.varint(prefix);
    this.#out.varint(suffix);
    this.#out.text(text.slice(prefix, text.length - suffix));
    this.#texts.set(os, text);
  }

  /** Writes the number of `thing`; false when it is a new one, which has to follow. */
  #known<T>(numbers: Map<T, number>, thing: T): boolean {
    const number = numbers.get(thing);
    this.#out.varint(number ?? numbers.size);
    if (number !== undefined) return true;
    numbers.set(thing, numbers.size);
    return false;
  }
}

class Decoder {
  readonly batch: ClickBatch;
  readonly #in: ByteReader;
  readonly #profiles: Profile[] = [];
  readonly #agents: Agent[] = [];
  readonly #words: string[] = [];
  /** The last text of each operating system: the likeliest to resemble the next. */
  readonly #texts = new Map<string, string>();

  constructor(bytes: Uint8Array) {
    const reader = new ByteReader(bytes);
    this.#in = reader;
    const version = reader.u8();
    if (version !== PLAIN)
      throw new BatchFormatError(`a batch of version ${version}; this hop reads versions 1 and 2`);
    const producer = {
      id: uuidOf(reader.bytes(16)),
      recorder: oneOf(RECORDERS, reader.u8()),
      ack: oneOf(ACKS, reader.u8()),
    };
    const seq = reader.varint();
    const baseMs = reader.zigzag();
    const count = reader.varint();
    if (count * LEAST_CLICK_BYTES > reader.remaining)
      throw new BatchFormatError(`${count} clicks cannot be in ${reader.remaining} bytes`);
    const clicks: Click[] = [];
    while (clicks.length < count) {
      clicks.push({
        linkId: reader.varint(),
        atMs: baseMs + reader.zigzag(),
        visitor: reader.bigint64(),
        profile: this.#numbered(this.#profiles, () => this.#profile()),
      });
    }
    if (reader.remaining > 0) throw new BatchFormatError(`${reader.remaining} bytes follow the last click`);
    this.batch = { producer, seq, clicks };
  }

  #profile(): Profile {
    return {
      id: this.#in.bigint64().toString(),
      country: this.#word(),
      referrer: this.#word(),
      language: this.#word(),
      agent: this.#numbered(this.#agents, () => this.#agent()),
    };
  }

  #agent(): Agent {
    const id = this.#in.bigint64().toString();
    const [browser, os] = [this.#word(), this.#word()];
    return {
      id,
      text: this.#differing(os),
      browser,
      os,
      device: this.#word(),
      bot: oneOf([false, true], this.#in.u8()),
      rules: this.#word(),
    };
  }

  #word(): string {
    return this.#numbered(this.#words, () => {
      const word = this.#in.text();
      checkLength(word.length);
      return word;
    });
  }

  #differing(os: string): string {
    const before = this.#texts.get(os) ?? "";
    const prefix = this.#in.varint();
    const suffix = this.#in.varint();
    if (prefix + suffix > before.length)
      throw new BatchFormatError("an agent shares more text than the one before it has");
    const middle = this.#in.text();
    checkLength(prefix + middle.length + suffix);
    const text = before.slice(0, prefix) + middle + before.slice(before.length - suffix);
    this.#texts.set(os, text);
    return text;
  }

  #numbered<T>(known: T[], read: () => T): T {
    const number = this.#in.varint();
    const thing = known[number];
    if (thing !== undefined) return thing;
    if (number !== known.length)
      throw new BatchFormatError(`number ${number} is used where ${known.length} are known`);
    const fresh = read();
    known.push(fresh);
    return fresh;
  }
}

/** Only ASCII is shared: there a byte is a character, and no surrogate pair is torn. */
function isShared(unit: number, other: number): boolean {
  return unit === other && unit < 0x80;
}

function checkLength(length: number): void {
  if (length > MAX_TEXT_LENGTH)
    throw new BatchFormatError(`a text of ${length} characters; ${MAX_TEXT_LENGTH} are allowed`);
}

function oneOf<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw new BatchFormatError(`${index} is not one of ${values.length} choices`);
  return value;
}

function uuidOf(bytes: Uint8Array): string {
  return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function asFormatError(error: unknown): unknown {
  // The latter is what BigInt says of an id that is no integer.
  if (!(error instanceof BytesError || error instanceof PackError || error instanceof SyntaxError))
    return error;
  return new BatchFormatError(error.message, { cause: error });
}
