// Writing and reading compact binary: what a writer wrote, a reader of the same calls in the same order reads.

/** Bytes that end too early or hold a number that cannot be. */
export class BytesError extends Error {
  override readonly name = "BytesError";
}

/** Loops beat a call into native code up to here. */
const SHORT_TEXT = 24;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A buffer that grows, for one text of bytes after another. Numbers are little-endian; a varint takes 7 bits a byte, lowest first. */
export class ByteWriter {
  #buffer: Buffer;
  #view: DataView;
  #length = 0;

  /** @param capacity bytes that are set aside at once; a good guess saves copies */
  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(capacity, 16));
    this.#view = viewOf(this.#buffer);
  }

  /** A copy of what was written; the writer begins again. */
  finish(): Buffer {
    const written = Buffer.copyBytesFrom(this.#buffer, 0, this.#length);
    this.#length = 0;
    return written;
  }

  /** Forgets what was written. */
  restart(): void {
    this.#length = 0;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** A signed 64-bit integer; what is larger is cut to its lowest 64 bits. */
  bigint64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.#length, value, true);
    this.#length += 8;
  }

  /** 0 … 2^53 - 1 in 1 to 8 bytes. @throws BytesError for any other number */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new BytesError(`${value} is not a varint`);
    this.#reserve(8);
    let rest = value;
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 128))
      this.#buffer[this.#length++] = (rest % 128) | 0x80;
    for (; rest > 0x7f; rest >>>= 7) this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
    this.#buffer[this.#length++] = rest;
  }

  /** -2^52 … 2^52 - 1; small ones of either sign are short. @throws BytesError for any other number */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** UTF-8 behind its length in bytes, a varint. A lone surrogate becomes U+FFFD. */
  text(value: string): void {
    if (value.length <= SHORT_TEXT && this.#shortAscii(value)) return;
    const length = Buffer.byteLength(value);
    this.varint(length);
    this.#reserve(length);
    this.#buffer.write(value, this.#length, "utf8");
    this.#length += length;
  }

  #shortAscii(value: string): boolean {
    this.#reserve(SHORT_TEXT + 1);
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index);
      if (unit > 0x7f) return false;
      this.#buffer[this.#length + 1 + index] = unit;
    }
    this.#buffer[this.#length] = value.length;
    this.#length += 1 + value.length;
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
    this.#view = viewOf(larger);
  }
}

/** Reads what a ByteWriter wrote. Every read throws BytesError where the bytes end, and allocates no more than they hold. */
export class ByteReader {
  readonly #buffer: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = bytes;
    this.#view = viewOf(bytes);
  }

  /** Bytes that are not read yet. */
  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  bigint64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  /** 0 … 2^53 - 1. @throws BytesError also for a larger number */
  varint(): number {
    const short = this.#buffer[this.#at];
    if (short !== undefined && short < 0x80) {
      this.#at++;
      return short;
    }
    let value = 0;
    let scale = 1;
    for (let length = 0; length < 8; length++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 128;
    }
    throw new BytesError(`a number before byte ${this.#at} is too large`);
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** The next bytes; they share memory with what is read. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#buffer.subarray(start, start + length);
  }

  /** @throws BytesError also where the bytes are not UTF-8 */
  text(): string {
    return this.textAt(this.passText());
  }

  /** Passes over a text. @returns where it begins, for `textAt` */
  passText(): number {
    const start = this.#at;
    this.#take(this.varint());
    return start;
  }

  /** The text that begins at byte `start`. @throws BytesError also where the bytes are not UTF-8 */
  textAt(start: number): string {
    const reading = this.#at;
    this.#at = start;
    const bytes = this.bytes(this.varint());
    this.#at = reading;
    try {
      return UTF8.decode(bytes);
    } catch (error) {
      throw new BytesError(`the text at byte ${start} is not UTF-8`, { cause: error });
    }
  }

  /** Moves on; answers where the bytes begin. */
  #take(length: number): number {
    const start = this.#at;
    if (length > this.remaining)
      throw new BytesError(`${length} bytes wanted at byte ${start}, ${this.remaining} are left`);
    this.#at = start + length;
    return start;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
