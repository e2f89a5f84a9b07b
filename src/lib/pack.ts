// Bytes made shorter by zstd (RFC 8878), behind a tag, with a bound on what they unfold to.
import { zstdDecompressSync } from "node:zlib";
import { ByteReader, ByteWriter } from "./bytes.ts";

/** Bytes that `pack` did not write. */
export class PackError extends Error {
  override readonly name = "PackError";
}

/** On texts, higher levels save 1 to 3 % more and take longer. */
const LEVEL = 1;
/** So that the memory for unpacking is in proportion to what came; texts shrink to a third or so. */
const RATIO_MAX = 64;

/** The tag in a byte, the length in bytes, one zstd frame. Undefined for bytes that shrink too much to be unpacked again. */
export function pack(bytes: Uint8Array, tag: number): Buffer | undefined {
  const frame = Bun.zstdCompressSync(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
    level: LEVEL,
  });
  if (bytes.length > frame.length * RATIO_MAX) return undefined;
  const out = new ByteWriter(frame.length + 16);
  out.u8(tag);
  out.varint(bytes.length);
  out.bytes(frame);
  return out.finish();
}

/** @throws PackError or BytesError for anything that `pack` did not write; memory is in proportion to `packed` */
export function unpack(packed: Uint8Array): Uint8Array {
  const reader = new ByteReader(packed);
  reader.u8();
  const length = reader.varint();
  const frame = reader.bytes(reader.remaining);
  if (length === 0 || length > frame.length * RATIO_MAX)
    throw new PackError(`${length} bytes cannot be packed in ${frame.length}`);
  const bytes = decompress(frame, length);
  if (bytes.length !== length) throw new PackError(`${bytes.length} bytes were packed, not ${length}`);
  return bytes;
}

function decompress(frame: Uint8Array, length: number): Uint8Array {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: length });
  } catch (error) {
    // Whatever zlib says of bytes that are no frame, or one that holds more.
    throw new PackError(`not a zstd frame of ${length} bytes`, { cause: error });
  }
}
