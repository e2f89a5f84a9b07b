// One keep-alive connection that sends nothing twice: what it sent and what it received can be counted.
import { createConnection, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** What became of a request that was not answered. */
export type Unanswered = "closed" | "hung";

/** `fetch` is not used for counting: it may repeat a request by itself when a connection turns out to be closed. */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #patienceMs: number;
  #received = "";
  #closed = false;
  #waiting: ((answer: Omit<Answer, "startedAtMs"> | Unanswered) => void) | undefined;

  private constructor(socket: Socket, host: string, patienceMs: number) {
    this.#socket = socket;
    this.#host = host;
    this.#patienceMs = patienceMs;
    socket.setEncoding("latin1");
    socket.setNoDelay(true);
    socket.on("data", (text: string) => this.#read(text));
    for (const event of ["error", "end", "close"]) socket.on(event, () => this.#end("closed"));
  }

  /** Undefined when nobody answers there. */
  static async open(url: string, patienceMs: number): Promise<HttpConnection | undefined> {
    const { hostname, port, host } = new URL(url);
    return new Promise((resolve) => {
      const socket = createConnection({ host: hostname, port: Number(port) });
      socket.once("connect", () => resolve(new HttpConnection(socket, host, patienceMs)));
      socket.once("error", () => resolve(undefined));
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends one request; after anything but an answer the connection is closed. */
  async get(path: string): Promise<Answer | Unanswered> {
    if (this.#waiting !== undefined) throw new Error("one request at a time");
    if (this.#closed) return "closed";
    const startedAtMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<Omit<Answer, "startedAtMs"> | Unanswered>();
    this.#waiting = resolve;
    const timer = setTimeout(() => this.#end("hung"), this.#patienceMs);
    this.#socket.write(`GET /${path} HTTP/1.1\r\nHost: ${this.#host}\r\nAccept: */*\r\n\r\n`);
    const answer = await promise;
    clearTimeout(timer);
    return typeof answer === "string" ? answer : { ...answer, startedAtMs };
  }

  close(): void {
    this.#end("closed");
  }

  #end(how: Unanswered): void {
    this.#closed = true;
    this.#socket.destroy();
    this.#settle(how);
  }

  #settle(answer: Omit<Answer, "startedAtMs"> | Unanswered): void {
    this.#waiting?.(answer);
    this.#waiting = undefined;
  }

  #read(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd === -1) return;
    const [first = "", ...lines] = this.#received.slice(0, headEnd).split("\r\n");
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const end = headEnd + 4 + Number(headers.get("content-length") ?? 0);
    if (this.#received.length < end) return;
    this.#received = this.#received.slice(end);
    if (headers.get("connection")?.toLowerCase() === "close") this.#closed = true;
    this.#settle({ status: Number(first.split(" ")[1]), headers, endedAtMs: performance.now() });
  }
}
