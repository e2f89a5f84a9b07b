// What is remembered of a request is not the request: the memory of what was cut from long texts, with and without a copy.
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { ClickObserver } from "../../src/clicks/observer.ts";
import { AgentReader, CountryReader } from "../../src/clicks/visitor.ts";
import { readPlainRequest } from "../../src/http/plain-request.ts";
import { createRedirect } from "../../src/http/redirect.ts";
import { ownCopy } from "../../src/lib/own-copy.ts";

const TEXTS = 2_000;
/** As long as a head that the fast path reads. */
const LENGTH = 8_000;

/** A new text each time, as requests are. */
function textOf(start: string, end = ""): string {
  return Buffer.from(`${start}${"x".repeat(LENGTH - start.length - end.length)}${end}`).toString("latin1");
}

/** Without digits, which are not kept of user agents; long, because the engine copies short pieces by itself. */
function letters(number: number): string {
  return number
    .toString(26)
    .replace(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)] ?? "")
    .padEnd(60, "a");
}

/** Bytes that stay after `keep` was called with every number. */
async function heldBytes(keep: (number: number) => unknown): Promise<number> {
  Bun.gc(true);
  const before = heapStats().extraMemorySize;
  for (let number = 0; number < TEXTS; number++) await keep(number);
  Bun.gc(true);
  return heapStats().extraMemorySize - before;
}

test("a copy keeps only itself, where a piece keeps all of the text it was cut from", async () => {
  const held: string[] = [];
  const keep = (copy: (piece: string) => string) =>
    heldBytes((number) => held.push(copy(textOf(`${number}`).slice(10, 20))));
  expect(await keep((piece) => piece)).toBeGreaterThan((TEXTS * LENGTH) / 2);
  expect(await keep(ownCopy)).toBeLessThan((TEXTS * LENGTH) / 10);
  expect(held).toHaveLength(2 * TEXTS);
  expect(ownCopy("K\u00fcrbis")).toBe("K\u00fcrbis");
});

test("codes that are looked up and visits of new kinds keep nothing else of their requests", async () => {
  const lookedUp: string[] = [];
  const redirect = createRedirect({
    resolver: {
      peek: (code) =>
        code === "known"
          ? {
              linkId: 1,
              version: 1,
              target: "https://example.com/",
              status: 302,
              expiresAtMs: Infinity,
              deleted: false,
            }
          : undefined,
      find: async (code) => {
        lookedUp.push(code);
        return undefined;
      },
    },
    recorder: { append: () => undefined, close: async () => undefined },
    observer: new ClickObserver({
      salt: () => new Uint8Array(32),
      agents: new AgentReader({ entries: TEXTS }),
      countries: CountryReader.open(),
    }),
    clock: () => 0,
    onDone: () => undefined,
    refuse: async () => ({ code: "LINK_NOT_FOUND", response: new Response(null, { status: 404 }) }),
  });
  const visit = (code: string, agent: string) => {
    const head = `GET /${code} HTTP/1.1\r\nHost: hop.test\r\nUser-Agent: ${agent}\r\nReferer: https://${agent}.example/\r\nCookie: `;
    const request = readPlainRequest(textOf(head, "\r\n\r\n"), 0);
    if (request === undefined) throw new Error("the request is not plain");
    return redirect(request, request.code, "192.0.2.1", "1");
  };
  const bound = (TEXTS * LENGTH) / 4;
  expect(await heldBytes((number) => visit(`unknown-${number}`.padEnd(64, "-"), "curl"))).toBeLessThan(bound);
  expect(lookedUp).toHaveLength(TEXTS);
  expect(await heldBytes((number) => visit("known", letters(number)))).toBeLessThan(bound);
});
