// The reader of plain requests: what it reads it reads as the Fetch Standard does, and everything doubtful is left to others.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readPlainRequest } from "../../src/http/plain-request.ts";
import { READ_HEADERS } from "../../src/lib/headers.ts";

const HOST = "Host: hop.test\r\n";
const VALUE_CHARACTERS = "aZ09 ;,:/()=\t\u00e9\u00ff\u00a0".split("");
const PLAIN = `GET /known HTTP/1.1\r\n${HOST}User-Agent: curl/8.5.0\r\n\r\n`;

function closes(value: string): boolean | undefined {
  return readPlainRequest(`GET /known HTTP/1.1\r\n${HOST}Connection: ${value}\r\n\r\n`, 0)?.closes;
}

function left(text: string): void {
  expect(readPlainRequest(text, 0)).toBeUndefined();
}

function spelled(name: string): fc.Arbitrary<string> {
  return fc.constantFrom(
    name,
    name.toUpperCase(),
    name.replace(/^./, (letter) => letter.toUpperCase()),
  );
}

describe("a plain request", () => {
  test("is read with its method, its code and its end", () => {
    for (const method of ["GET", "HEAD"]) {
      const text = `${method} /aB3-_?utm=1&x HTTP/1.1\r\n${HOST}\r\n`;
      const request = readPlainRequest(`xx${text}rest`, 2);
      expect(request).toMatchObject({ method, code: "aB3-_", end: 2 + text.length, closes: false });
    }
  });

  test("closes its connection only when it says so", () => {
    expect(closes("close")).toBe(true);
    expect(closes("Close")).toBe(true);
    expect(closes("keep-alive")).toBe(false);
    expect(closes("Keep-Alive")).toBe(false);
  });

  test("has the header values that the Fetch Standard gives, whatever the case of their names", () => {
    const value = fc.string({ unit: fc.constantFrom(...VALUE_CHARACTERS), maxLength: 40 });
    const header = fc
      .constantFrom(...READ_HEADERS, "x-other", "cookie", "accept-encoding", "dnt")
      .chain((name) => fc.tuple(spelled(name), value));
    fc.assert(
      fc.property(
        fc.uniqueArray(header, { selector: ([name]) => name.toLowerCase(), maxLength: 12 }),
        fc.constantFrom("", " ", "\t", "  "),
        (headers, space) => {
          const lines = headers.map(([name, text]) => `${name}:${space}${text}\r\n`).join("");
          const request = readPlainRequest(`GET /known HTTP/1.1\r\n${HOST}${lines}\r\n`, 0);
          const expected = new Headers(headers);
          for (const name of READ_HEADERS) expect(request?.get(name)).toBe(expected.get(name));
        },
      ),
    );
  });
});

describe("left to the general server is", () => {
  test("what is not all there yet", () => {
    for (let length = 0; length < PLAIN.length; length++) left(PLAIN.slice(0, length));
    expect(readPlainRequest(PLAIN, 0)).toBeDefined();
  });

  test.each([
    ["another method", PLAIN.replace("GET", "POST")],
    ["a method in lower case", PLAIN.replace("GET", "get")],
    ["another version", PLAIN.replace("1.1", "1.0")],
    ["an absolute target", PLAIN.replace("/known", "http://hop.test/known")],
    ["two spaces", PLAIN.replace(" /known", "  /known")],
    ["a path of two parts", PLAIN.replace("/known", "/api/v1")],
    ["a preview", PLAIN.replace("known", "known+")],
    ["no code", PLAIN.replace("/known", "/")],
    ["a code of 65 characters", PLAIN.replace("known", "a".repeat(65))],
    ["an escaped code", PLAIN.replace("known", "kn%6fwn")],
    ["a word that hop keeps for itself", PLAIN.replace("known", "Livez")],
    ["a space in the query", PLAIN.replace("known", "known?a b")],
    ["a control character in the query", PLAIN.replace("known", "known?a\x7fb")],
    ["no host", PLAIN.replace(HOST, "")],
    ["two hosts", PLAIN.replace(HOST, HOST + HOST)],
    ["a header twice", PLAIN.replace(HOST, `${HOST}user-agent: x\r\n`)],
    ["a body", PLAIN.replace(HOST, `${HOST}Content-Length: 1\r\n`)],
    ["a body of no bytes", PLAIN.replace(HOST, `${HOST}content-length: 0\r\n`)],
    ["a body in chunks", PLAIN.replace(HOST, `${HOST}TRANSFER-ENCODING: chunked\r\n`)],
    ["an expectation", PLAIN.replace(HOST, `${HOST}Expect: 100-continue\r\n`)],
    ["another protocol", PLAIN.replace(HOST, `${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n`)],
    ["a connection of two words", PLAIN.replace(HOST, `${HOST}Connection: close, te\r\n`)],
    ["a space before a colon", PLAIN.replace("Agent:", "Agent :")],
    ["a space before a name", PLAIN.replace("User", " User")],
    ["a folded line", PLAIN.replace("curl", "curl\r\n more")],
    ["a line without a colon", PLAIN.replace(HOST, `${HOST}nothing\r\n`)],
    ["a line without a name", PLAIN.replace(HOST, `${HOST}: x\r\n`)],
    ["a line feed alone", PLAIN.replace("curl", "cu\nrl")],
    ["a carriage return alone", PLAIN.replace("curl", "cu\rrl")],
    ["a NUL", PLAIN.replace("curl", "cu\0rl")],
    ["line feeds for line ends", PLAIN.replaceAll("\r\n", "\n")],
    ["an empty line first", `\r\n${PLAIN}`],
    ["a head of more than 8 kB", PLAIN.replace("curl", "c".repeat(8_192))],
  ])("%s", (_, text) => {
    left(text);
  });

  test("whatever has a character in it that no plain request has, wherever it is", () => {
    const strange = fc.constantFrom("\n", "\r", "\0", "\x01", "\x0b", "\x7f");
    fc.assert(
      // Before the last line feed a line feed is the first byte of what follows.
      fc.property(fc.nat(PLAIN.length - 2), strange, (place, character) => {
        left(PLAIN.slice(0, place) + character + PLAIN.slice(place));
      }),
    );
  });
});
