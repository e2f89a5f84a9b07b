// Answers as they go over the wire, where hop writes them itself.
import { STATUS_CODES } from "node:http";
import type { Redirected } from "./redirect.ts";

/** ASCII. @param ends the connection does after this answer */
export function redirectText({ status, location, requestId }: Redirected, ends: boolean): string {
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nLocation: ${location}\r\nCache-Control: private, no-store\r\n` +
    `X-Request-Id: ${requestId}\r\nContent-Length: 0\r\n${commonHeaders(ends)}\r\n`
  );
}

/** A response that was read, to be written with or without the end of its connection. */
export async function responseBytes(
  response: Response,
  method: string,
): Promise<(ends: boolean) => Uint8Array> {
  const body = new Uint8Array(await response.arrayBuffer());
  let head = `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ""}\r\n`;
  for (const [name, value] of response.headers) head += `${name}: ${value}\r\n`;
  head += `Content-Length: ${body.length}\r\n`;
  return (ends) => {
    const bytes = Buffer.from(`${head}${commonHeaders(ends)}\r\n`, "latin1");
    return method === "HEAD" ? bytes : Buffer.concat([bytes, body]);
  };
}

function commonHeaders(ends: boolean): string {
  return ends ? `Date: ${date()}\r\nConnection: close\r\n` : `Date: ${date()}\r\n`;
}

let [dateText, dateUntilMs] = ["", 0];

/** Written once a second. */
function date(): string {
  const nowMs = Date.now();
  if (nowMs >= dateUntilMs || nowMs < dateUntilMs - 1_000) {
    dateText = new Date(nowMs).toUTCString();
    dateUntilMs = nowMs - (nowMs % 1_000) + 1_000;
  }
  return dateText;
}
