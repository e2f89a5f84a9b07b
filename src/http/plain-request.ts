// Reads the requests that nearly all redirects are: GET or HEAD of a short code in HTTP/1.1, plainly spelled, without a body.
import { type Asked, READ_HEADERS, type ReadHeader } from "../lib/headers.ts";
import { isReserved } from "../links/code.ts";

/**
 * The whole head. What readers of HTTP could understand in two ways does not match: line feeds alone, control characters,
 * folded lines, spaces before a colon. One pass over 370 characters takes 0.3 us.
 */
const PLAIN =
  /(?:GET|HEAD) \/[A-Za-z0-9_-]{1,64}(?:\?[!-~]*)? HTTP\/1\.1\r\n(?:[A-Za-z0-9_-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+\r\n/y;

/** Characters of a head that are read here; the general server refuses what is longer than 16 kB. */
const MAX_LENGTH = 8_192;

/** A body, another protocol, or an answer that is more than one. */
const NOT_PLAIN = ["content-length", "expect", "http2-settings", "trailer", "transfer-encoding", "upgrade"];

interface Header {
  readonly name: string;
  /** As most clients write it: comparing with this first spares a conversion to lower case. */
  readonly usual: string;
  /** Where its value is kept; -1 when a request that has it is not plain. */
  readonly place: number;
}

const KEPT: readonly string[] = [...READ_HEADERS, "host", "connection"];
const HOST = KEPT.indexOf("host");
const CONNECTION = KEPT.indexOf("connection");
/** By the length of their names, so that most lines are passed over without looking at them. */
const HEADERS: readonly (readonly Header[] | undefined)[] = byLength();
const NONE: readonly undefined[] = Array.from({ length: KEPT.length }, () => undefined);
const PLACES = Object.fromEntries(KEPT.map((name, place) => [name, place])) as Record<ReadHeader, number>;

/** A request that was read completely. Values are Latin-1 without the spaces around them, as in the Fetch Standard. */
export class PlainRequest implements Asked {
  readonly method: string;
  readonly code: string;
  /** Where the next request begins. */
  readonly end: number;
  readonly #values: readonly (string | undefined)[];

  constructor(method: string, code: string, end: number, values: readonly (string | undefined)[]) {
    this.method = method;
    this.code = code;
    this.end = end;
    this.#values = values;
  }

  get headers(): this {
    return this;
  }

  get(name: ReadHeader): string | null {
    return this.#values[PLACES[name]] ?? null;
  }

  /** The client asked for the connection to be closed after the answer. */
  get closes(): boolean {
    return this.#values[CONNECTION] === "close";
  }
}

/** The plain request that begins at `start`, in Latin-1; undefined when what is there is anything else, or not all of it. */
export function readPlainRequest(text: string, start: number): PlainRequest | undefined {
  PLAIN.lastIndex = start;
  if (!PLAIN.test(text)) return undefined;
  const end = PLAIN.lastIndex;
  if (end - start > MAX_LENGTH) return undefined;
  // Groups in the pattern would make an array and two texts for each request.
  const method = text.startsWith("GET", start) ? "GET" : "HEAD";
  const lineEnd = text.indexOf("\r\n", start);
  const codeStart = start + method.length + " /".length;
  const query = text.indexOf("?", codeStart);
  const targetEnd = lineEnd - " HTTP/1.1".length;
  const code = text.slice(codeStart, query === -1 || query > targetEnd ? targetEnd : query);
  if (isReserved(code)) return undefined;
  const values = readValues(text, lineEnd + 2, end - 2);
  if (values?.[HOST] === undefined) return undefined;
  const connection = values[CONNECTION]?.toLowerCase();
  if (connection !== undefined && connection !== "close" && connection !== "keep-alive") return undefined;
  values[CONNECTION] = connection;
  return new PlainRequest(method, code, end, values);
}

/** Undefined when one of the lines makes the request something else, or a header comes twice. */
function readValues(text: string, from: number, to: number): (string | undefined)[] | undefined {
  const values: (string | undefined)[] = NONE.slice();
  for (let start = from; start < to;) {
    const colon = text.indexOf(":", start);
    const end = text.indexOf("\r\n", colon);
    const header = findHeader(text, start, colon - start);
    if (header !== undefined) {
      if (header.place === -1 || values[header.place] !== undefined) return undefined;
      values[header.place] = valueOf(text, colon + 1, end);
    }
    start = end + 2;
  }
  return values;
}

function findHeader(text: string, start: number, length: number): Header | undefined {
  const headers = HEADERS[length];
  if (headers === undefined) return undefined;
  for (const header of headers) if (text.startsWith(header.usual, start)) return header;
  const name = text.slice(start, start + length).toLowerCase();
  return headers.find((header) => header.name === name);
}

function valueOf(text: string, start: number, end: number): string {
  const value = text.slice(text.charCodeAt(start) === SPACE ? start + 1 : start, end);
  // The common case has no further spaces.
  return value.charCodeAt(0) > SPACE && value.charCodeAt(value.length - 1) > SPACE
    ? value
    : value.replace(SPACES_AROUND, "");
}

const SPACE = 0x20;
const SPACES_AROUND = /^[\t ]+|[\t ]+$/g;

function byLength(): (readonly Header[] | undefined)[] {
  const headers = [
    ...KEPT.map((name, place) => ({ name, usual: usualCase(name), place })),
    ...NOT_PLAIN.map((name) => ({ name, usual: usualCase(name), place: -1 })),
  ];
  const longest = Math.max(...headers.map(({ name }) => name.length));
  return Array.from({ length: longest + 1 }, (_, length) => {
    const ofLength = headers.filter(({ name }) => name.length === length);
    return ofLength.length === 0 ? undefined : ofLength;
  });
}

function usualCase(name: string): string {
  return name.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase());
}
