// One keep-alive HTTP/1.1 connection: a request at a time, none sent twice, and no more work than counting needs.
import type { Socket } from "bun";

export interface Reply {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

/** What became of a request that was not answered. */
export type Unanswered = "closed" | "hung";

const HEAD_END = "\r\n\r\n";
const CONNECT_TIMEOUT_MS = 5_000;

/** `fetch` may repeat a request by itself, and takes three times the CPU time. */
export class Connection {
  readonly #patienceMs: number;
  #socket: Socket | undefined;
  #received = "";
  #waiting: ((reply: Reply | Unanswered) => void) | undefined;

  private constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** @throws when nobody takes the connection */
  static async open(url: string, patienceMs: number): Promise<Connection> {
    const { hostname, port } = new URL(url);
    const connection = new Connection(patienceMs);
    const opening = Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data: (_socket, bytes) => connection.#read(bytes.toString("latin1")),
        close: () => connection.#end("closed"),
        error: () => connection.#end("closed"),
      },
    });
    const overdue = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => overdue.reject(new Error(`${url} takes no connection`)),
      CONNECT_TIMEOUT_MS,
    );
    try {
      connection.#socket = await Promise.race([opening, overdue.promise]);
      connection.#socket.setNoDelay(true);
      return connection;
    } finally {
      clearTimeout(timer);
    }
  }

  get closed(): boolean {
    return this.#socket === undefined;
  }

  /** After anything but a reply the connection is closed. */
  async send(request: string): Promise<Reply | Unanswered> {
    if (this.#waiting !== undefined) throw new Error("one request at a time");
    if (this.#socket === undefined) return "closed";
    const { promise, resolve } = Promise.withResolvers<Reply | Unanswered>();
    this.#waiting = resolve;
    const timer = setTimeout(() => this.#end("hung"), this.#patienceMs);
    // A request is far smaller than the buffer of an idle socket.
    if (this.#socket.write(request) < request.length) this.#end("closed");
    const reply = await promise;
    clearTimeout(timer);
    return reply;
  }

  close(): void {
    this.#end("closed");
  }

  #end(how: Unanswered): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
    this.#settle(how);
  }

  #settle(reply: Reply | Unanswered): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(reply);
  }

  #read(text: string): void {
    this.#received += text;
    const whole = readReply(this.#received);
    if (whole === undefined) return;
    this.#received = this.#received.slice(whole.length);
    this.#settle(whole.reply);
    if (whole.last) this.#end("closed");
  }
}

/** The first reply of what was received, and how many characters it took; undefined until it is whole. */
export function readReply(received: string): { reply: Reply; length: number; last: boolean } | undefined {
  const headEnd = received.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const head = received.slice(0, headEnd);
  const bodyStart = headEnd + HEAD_END.length;
  const length = bodyStart + Number(headerOf(head, "content-length") ?? 0);
  if (received.length < length) return undefined;
  // "HTTP/1.1 302 Found"
  const reply = {
    status: Number(head.slice(9, 12)),
    location: headerOf(head, "location"),
    body: received.slice(bodyStart, length),
  };
  return { reply, length, last: headerOf(head, "connection")?.toLowerCase() === "close" };
}

function headerOf(head: string, name: string): string | undefined {
  return HEADERS[name]?.exec(head)?.[1];
}

const HEADERS: Readonly<Record<string, RegExp>> = Object.fromEntries(
  ["content-length", "location", "connection"].map((name) => [
    name,
    new RegExp(`\r\n${name}: *([^\r]*)`, "i"),
  ]),
);
