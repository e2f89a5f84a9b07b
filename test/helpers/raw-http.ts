// HTTP by hand: every byte of a request is the test's own, and no client mends or refuses it on the way.
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** How an exchange ended: with answers, or with a connection that the server closed without any. */
export type Exchange = { readonly answers: readonly RawAnswer[]; readonly closed: boolean };

export interface RawRequest {
  readonly method?: string;
  /** As it stands in the request line. */
  readonly path: string;
  /** Latin-1, one a line; a name may come twice. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
}

const TIMEOUT_MS = 5_000;

/** The bytes of a well-formed request, whatever is in it. */
export function bytesOf({ method = "GET", path, headers = [], body }: RawRequest): Uint8Array {
  const content = typeof body === "string" ? Buffer.from(body, "utf8") : Buffer.from(body ?? []);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    "Host: hop.test",
    "Connection: close",
    ...(body === undefined ? [] : [`Content-Length: ${content.length}`]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), content]);
}

/** The one answer to a well-formed request. @throws when there is none within 5 s */
export async function sendRaw(url: string, request: RawRequest): Promise<RawAnswer> {
  const { answers } = await exchange(url, [bytesOf(request)]);
  const [answer] = answers;
  if (answer === undefined) throw new Error("the connection was closed without an answer");
  return answer;
}

export interface ExchangeOptions {
  readonly timeoutMs?: number;
  /** How many answers are listened for. */
  readonly answers?: number;
  /** Says after the last part that nothing follows, and listens on. */
  readonly halfCloses?: boolean;
  /** Waits for each part to be sent before the next: they arrive apart. */
  readonly apart?: boolean;
  /** Reads nothing before it has written everything. */
  readonly readsLate?: boolean;
  /** The address that the client calls from. */
  readonly from?: string;
}

/**
 * Writes the parts and listens until there are as many whole answers as are wanted, or the server hangs up.
 * @throws when neither happens within `timeoutMs`, which is a hang
 */
export function exchange(
  url: string,
  parts: readonly (string | Uint8Array)[],
  options: ExchangeOptions = {},
): Promise<Exchange> {
  const { hostname, port } = new URL(url);
  const {
    timeoutMs = TIMEOUT_MS,
    answers: wanted = 1,
    halfCloses = false,
    apart = false,
    readsLate = false,
    from,
  } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      port: Number(port),
      host: hostname,
      noDelay: true,
      allowHalfOpen: halfCloses,
      ...(from !== undefined && { localAddress: from }),
    });
    let received = Buffer.alloc(0);
    const end = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answers: readAnswers(received, closed), closed });
    };
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        new Error(`no answer and no end within ${timeoutMs} ms; got ${JSON.stringify(String(received))}`),
      );
    }, timeoutMs);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (readAnswers(received, false).length >= wanted) end(false);
    });
    // A reset is one way to hang up.
    socket.on("error", () => end(true));
    socket.on("close", () => end(true));
    socket.on("end", () => end(true));
    if (readsLate) socket.pause();
    const write = async () => {
      for (const part of parts) {
        socket.write(typeof part === "string" ? Buffer.from(part, "latin1") : part);
        if (apart) await new Promise((turn) => setImmediate(turn));
      }
      if (halfCloses) socket.end();
      if (readsLate) setImmediate(() => socket.resume());
    };
    socket.on("connect", () => {
      void write();
    });
  });
}

/** The whole answers in these bytes; interim ones (1xx) are no answers. */
function readAnswers(bytes: Buffer, closed: boolean): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const headEnd = rest.indexOf("\r\n\r\n");
    if (headEnd === -1) break;
    const [statusLine = "", ...lines] = rest.subarray(0, headEnd).toString("latin1").split("\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]);
    const headers = new Headers(lines.map((line): [string, string] => split(line)));
    const content = rest.subarray(headEnd + 4);
    const length = headers.get("content-length");
    // Without a length the body ends with the connection; an answer of 204 or 1xx has none.
    const bodiless = status < 200 || status === 204;
    if (length === null && !bodiless && !closed) break;
    const size = bodiless ? 0 : length === null ? content.length : Number(length);
    if (content.length < size) break;
    if (status >= 200) answers.push({ status, headers, body: content.subarray(0, size).toString("utf8") });
    rest = content.subarray(size);
  }
  return answers;
}

function split(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}
