// Reads a JSON body within bounds of size and time.
import { DeadlineError, withDeadline } from "../lib/deadline.ts";
import { AppError } from "../lib/errors.ts";

export interface BodyBounds {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** @throws UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, REQUEST_TIMEOUT, MALFORMED_JSON */
export async function readJson(request: Request, bounds: BodyBounds): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new AppError(
      "UNSUPPORTED_MEDIA_TYPE",
      "Send the body as JSON, with Content-Type: application/json.",
    );
  }
  const bytes = await readBytes(request, bounds);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    // TypeError: not UTF-8. SyntaxError: not JSON. RangeError: nested too deeply to parse.
    const reason =
      error instanceof SyntaxError
        ? "The body is not valid JSON."
        : "The body must be JSON in UTF-8, not nested too deeply.";
    throw new AppError("MALFORMED_JSON", reason, { cause: error });
  }
}

async function readBytes(request: Request, { maxBytes, timeoutMs }: BodyBounds): Promise<Uint8Array> {
  const tooLarge = () => new AppError("BODY_TOO_LARGE", `The body may have at most ${maxBytes} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const collect = async (): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.byteLength;
      if (size > maxBytes) throw tooLarge();
      chunks.push(next.value);
    }
    return Buffer.concat(chunks);
  };
  try {
    return await withDeadline(collect(), timeoutMs, "reading the body");
  } catch (error) {
    reader.cancel().catch(() => undefined);
    // The client went away, or its chunks were no chunks and Bun hung up.
    if (error instanceof DOMException && error.name === "AbortError") {
      throw new AppError("REQUEST_TIMEOUT", "The body did not arrive: the connection ended.", {
        cause: error,
      });
    }
    // So much came at once that Bun refused it, by an error without a code, before the first read.
    if (error instanceof Error && error.message.includes("maxRequestBodySize")) throw tooLarge();
    if (!(error instanceof DeadlineError)) throw error;
    throw new AppError("REQUEST_TIMEOUT", `The body did not arrive within ${timeoutMs / 1000} seconds.`);
  }
}
