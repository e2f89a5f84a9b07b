// Bytes that are no proper HTTP: most never reach hop's code, and none may make it hang.
import { AS_JSON, AUTHORISED, KNOWN_CODE } from "./hostile-case.ts";

/** How it may end: with one of these statuses, or with a closed connection where "closed" is named. */
export type Ending = number | "closed";

export interface WireCase {
  readonly name: string;
  /** Written one after the other; then the client only listens. */
  readonly parts: readonly (string | Uint8Array)[];
  readonly endings: readonly Ending[];
}

const HOST = "Host: hop.test\r\n";
const END = "Connection: close\r\n\r\n";
const GET = `GET /${KNOWN_CODE} HTTP/1.1\r\n`;

/** What a parser may say to what it cannot read. */
const REFUSED: readonly Ending[] = [400, 405, 411, 413, 414, 417, 431, 501, 505, "closed"];
/** Read generously, it is a request for a link that exists. */
const REFUSED_OR_READ: readonly Ending[] = [...REFUSED, 302, 404];

const refused = (name: string, ...parts: (string | Uint8Array)[]): WireCase => ({
  name,
  parts,
  endings: REFUSED,
});
const either = (name: string, ...parts: (string | Uint8Array)[]): WireCase => ({
  name,
  parts,
  endings: REFUSED_OR_READ,
});

const REQUEST_LINES: readonly WireCase[] = [
  refused("a request line of 64 kB", `GET /${"a".repeat(65_536)} HTTP/1.1\r\n${HOST}${END}`),
  refused("a request line of 1 MB", `GET /${"a".repeat(1 << 20)} HTTP/1.1\r\n${HOST}${END}`),
  refused("a method of 5 kB", `${"G".repeat(5_000)} / HTTP/1.1\r\n${HOST}${END}`),
  refused("a method with a NUL", `G\0T /${KNOWN_CODE} HTTP/1.1\r\n${HOST}${END}`),
  either("a method that does not exist", `BREW /${KNOWN_CODE} HTTP/1.1\r\n${HOST}${END}`),
  either("a method in lower case", `get /${KNOWN_CODE} HTTP/1.1\r\n${HOST}${END}`),
  either("TRACE", `TRACE /${KNOWN_CODE} HTTP/1.1\r\n${HOST}${END}`),
  either("CONNECT to another host", `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n${END}`),
  either("an asterisk for a path", `OPTIONS * HTTP/1.1\r\n${HOST}${END}`),
  either("no slash before the path", `GET ${KNOWN_CODE} HTTP/1.1\r\n${HOST}${END}`),
  either(
    "another host in the request line",
    `GET http://evil.example/${KNOWN_CODE} HTTP/1.1\r\n${HOST}${END}`,
  ),
  refused("a line break in the path", `GET /kno\r\nX-Evil: 1 HTTP/1.1\r\n${HOST}${END}`),
  either("a bare line feed in the path", `GET /kno\nwn HTTP/1.1\r\n${HOST}${END}`),
  either("a NUL in the path", `GET /kno\0wn HTTP/1.1\r\n${HOST}${END}`),
  either("a space in the path", `GET /kno wn HTTP/1.1\r\n${HOST}${END}`),
  either("tabs for spaces", `GET\t/${KNOWN_CODE}\tHTTP/1.1\r\n${HOST}${END}`),
  refused("HTTP/0.9", `GET /${KNOWN_CODE}\r\n\r\n`),
  {
    name: "a redirect in HTTP/1.0 without a host",
    parts: [`GET /${KNOWN_CODE} HTTP/1.0\r\n\r\n`],
    endings: [302],
  },
  {
    name: "a preview in HTTP/1.0 without a host",
    parts: [`GET /${KNOWN_CODE}+?x HTTP/1.0\r\n\r\n`],
    endings: [200],
  },
  { name: "a probe in HTTP/1.0 without a host", parts: ["GET /livez HTTP/1.0\r\n\r\n"], endings: [200] },
  {
    name: "a query in HTTP/1.0 without a host",
    parts: [`GET /api/v1/links?limit=1 HTTP/1.0\r\n${AUTHORISED.join(": ")}\r\n\r\n`],
    endings: [200],
  },
  refused("HTTP/2.0", `GET /${KNOWN_CODE} HTTP/2.0\r\n${HOST}${END}`),
  refused("HTTP/1.1.1", `GET /${KNOWN_CODE} HTTP/1.1.1\r\n${HOST}${END}`),
  refused("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  refused(
    "the beginning of TLS",
    Buffer.from("16030100c8010000c403030a0d0a0d0a", "hex"),
    `${"\x01".repeat(200)}\r\n\r\n`,
  ),
  refused("binary noise", Buffer.from(Array.from({ length: 4_096 }, (_, n) => (n * 167 + 13) % 256))),
  refused("a JSON document for a request", '{"jsonrpc":"2.0","method":"x"}\r\n\r\n'),
  refused("a Redis command", "*1\r\n$8\r\nFLUSHALL\r\n\r\n"),
];

const HEADERS: readonly WireCase[] = [
  either("no Host", `${GET}${END}`),
  either("an empty Host", `${GET}Host:\r\n${END}`),
  either("two Hosts", `${GET}${HOST}Host: evil.example\r\n${END}`),
  either("a Host with a path", `${GET}Host: hop.test/api/v1\r\n${END}`),
  either("a Host that is no host", `${GET}Host: [::1\r\n${END}`),
  either("a Host with a line feed", `${GET}Host: a\nb\r\n${END}`),
  either("a Host of 10 kB", `${GET}Host: ${"a".repeat(10_000)}\r\n${END}`),
  either("bare line feeds for line ends", `GET /${KNOWN_CODE} HTTP/1.1\nHost: hop.test\n\n`),
  either("a header without a colon", `${GET}${HOST}Evil\r\n${END}`),
  either("a header without a name", `${GET}${HOST}: evil\r\n${END}`),
  either("a space before the colon", `${GET}${HOST}X-Evil : 1\r\n${END}`),
  either("a header name with a NUL", `${GET}${HOST}X\0Y: 1\r\n${END}`),
  either("a header value with a NUL", `${GET}${HOST}User-Agent: a\0b\r\n${END}`),
  either("a header value with a bare return", `${GET}${HOST}User-Agent: a\rb\r\n${END}`),
  either("a header over two lines", `${GET}${HOST}User-Agent: a\r\n b\r\n${END}`),
  either("a header of 8-bit noise", `${GET}${HOST}\xff\xfe: \xff\r\n${END}`),
  refused("a header of 1 MB", `${GET}${HOST}X-Evil: ${"a".repeat(1 << 20)}\r\n${END}`),
  either("10,000 headers", `${GET}${HOST}${"X-Evil: 1\r\n".repeat(10_000)}${END}`),
  either("an upgrade to a web socket", `${GET}${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`),
];

const POST = `POST /api/v1/links HTTP/1.1\r\n${HOST}${AUTHORISED.join(": ")}\r\n${AS_JSON.join(": ")}\r\n`;
const BODY = '{"url":"https://example.com/"}';
const LENGTH = `Content-Length: ${BODY.length}\r\n`;
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const CHUNKS = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
/** A body that is framed oddly may be read, as long as it is one request. */
const REFUSED_OR_CREATED: readonly Ending[] = [...REFUSED, 201, 408];

const framed = (name: string, ...parts: (string | Uint8Array)[]): WireCase => ({
  name,
  parts,
  endings: REFUSED_OR_CREATED,
});

const FRAMING: readonly WireCase[] = [
  ...["-1", "abc", "+30", "0x1e", "1e1", "30, 31", "18446744073709551616", "9".repeat(400), ""].map(
    (length) =>
      framed(
        `a Content-Length of ${JSON.stringify(length.slice(0, 30))}`,
        `${POST}Content-Length: ${length}\r\n${END}${BODY}`,
      ),
  ),
  framed("two different Content-Lengths", `${POST}${LENGTH}Content-Length: 5\r\n${END}${BODY}`),
  framed("a Content-Length beside chunks", `${POST}${LENGTH}${CHUNKED}${END}${CHUNKS}`),
  framed("chunks beside a Content-Length", `${POST}${CHUNKED}Content-Length: 5\r\n${END}${CHUNKS}`),
  framed("an unknown Transfer-Encoding", `${POST}Transfer-Encoding: xchunked\r\n${END}${CHUNKS}`),
  framed("two Transfer-Encodings", `${POST}Transfer-Encoding: chunked, identity\r\n${END}${CHUNKS}`),
  framed("a chunk whose size is no number", `${POST}${CHUNKED}${END}zz\r\n${BODY}\r\n0\r\n\r\n`),
  framed("a chunk of negative size", `${POST}${CHUNKED}${END}-1e\r\n${BODY}\r\n0\r\n\r\n`),
  framed("a chunk of 2^64 bytes", `${POST}${CHUNKED}${END}ffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n`),
  framed("a chunk without an end", `${POST}${CHUNKED}${END}1e\r\n${BODY}XX0\r\n\r\n`),
  framed("chunks with extensions", `${POST}${CHUNKED}${END}1e;a="b"\r\n${BODY}\r\n0\r\n\r\n`),
  framed("trailers behind the chunks", `${POST}${CHUNKED}${END}1e\r\n${BODY}\r\n0\r\nHost: evil\r\n\r\n`),
  framed("Expect: 100-continue", `${POST}${LENGTH}Expect: 100-continue\r\n${END}`, BODY),
  framed("an expectation nobody knows", `${POST}${LENGTH}Expect: miracles\r\n${END}`, BODY),
  either("a body on a redirect", `${GET}${HOST}Content-Length: 5\r\n${END}hello`),
  either("a body on a redirect that never comes", `${GET}${HOST}Content-Length: 5\r\n${END}`),
  either("garbage behind a request", `${GET}${HOST}\r\n\0\0\0garbage\r\n\r\n`),
  either("a second request behind the last", `${GET}${HOST}${END}POST / HTTP/1.1\r\n\r\n`),
];

/** With the body's bound at 256 KiB; hop reads a megabyte more to answer politely, and Bun refuses the rest. */
const SIZES: readonly WireCase[] = [
  {
    name: "a body of 100 MB announced",
    parts: [`${POST}Content-Length: 100000000\r\n${END}`],
    endings: [413],
  },
  {
    name: "a body a little too large announced",
    parts: [`${POST}Content-Length: 262145\r\n${END}`],
    endings: [413],
  },
  {
    name: "a body a little too large sent",
    parts: [`${POST}Content-Length: 262145\r\n${END}`, "x".repeat(262_145)],
    endings: [413],
  },
  {
    name: "chunks that grow too large",
    parts: [
      `${POST}${CHUNKED}${END}`,
      ...Array.from({ length: 30 }, () => `4000\r\n${"x".repeat(0x4000)}\r\n`),
    ],
    endings: [413],
  },
  {
    name: "chunks without end",
    parts: [
      `${POST}${CHUNKED}${END}`,
      ...Array.from({ length: 300 }, () => `4000\r\n${"x".repeat(0x4000)}\r\n`),
    ],
    endings: [413, "closed"],
  },
];

const SLOW: readonly WireCase[] = [
  { name: "a body that never comes", parts: [`${POST}${LENGTH}${END}`], endings: [408] },
  { name: "a body that stops half-way", parts: [`${POST}${LENGTH}${END}`, BODY.slice(0, 9)], endings: [408] },
  {
    name: "a chunk that stops half-way",
    parts: [`${POST}${CHUNKED}${END}1e\r\n`, BODY.slice(0, 9)],
    endings: [408],
  },
  { name: "chunks without a last one", parts: [`${POST}${CHUNKED}${END}1e\r\n${BODY}\r\n`], endings: [408] },
  { name: "nothing", parts: [], endings: ["closed"] },
  { name: "half a request line", parts: ["GET /kno"], endings: ["closed"] },
  { name: "half the headers", parts: [`${GET}${HOST}User-Ag`], endings: ["closed"] },
];

export const HOSTILE_WIRE: readonly WireCase[] = [
  ...REQUEST_LINES,
  ...HEADERS,
  ...FRAMING,
  ...SIZES,
  ...SLOW,
];

/** A connection that never got as far as a request is Bun's, which hangs up after 10 s or a little more. */
export const HANG_UP_MS = 20_000;
