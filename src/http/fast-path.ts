// The public listener: plain requests for short links are answered here, connections with anything else go to the general server.
import type { Socket, TCPSocketListener } from "bun";
import { withDeadline } from "../lib/deadline.ts";
import { redirectText, responseBytes } from "./answer-bytes.ts";
import { Outlet } from "./outlet.ts";
import { Passage, type Peers } from "./passage.ts";
import { type PlainRequest, readPlainRequest } from "./plain-request.ts";
import type { Redirected } from "./redirect.ts";

export type FastAnswer = Redirected | Response;

export interface FastPathOptions {
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
  readonly reusePort: boolean;
  /** A connection is kept for this long without a byte, and closed within two seconds after. */
  readonly idleTimeoutSeconds: number;
  /** A connection that was just made is given this long for its first request when the listener stops. */
  readonly firstRequestMs: number;
  /** Bytes of a client's requests that wait behind an answer before no more of them are read. */
  readonly maxWaitingBytes: number;
  /** @param address the client's, as the kernel spells it */
  readonly answer: (request: PlainRequest, address: string) => FastAnswer | Promise<FastAnswer>;
  /** An error that should not be; its connection is gone. */
  readonly onBug: (error: unknown) => void;
  /** True from when on answers end their connection. */
  readonly departing: () => boolean;
  readonly generalServer: {
    readonly port: () => number;
    readonly peers: Peers;
    /** As that of Bun's server. */
    readonly stop: (now: boolean) => Promise<void>;
  };
}

const SWEEP_MS = 1_000;
/** The silence of a connection that has said something since the last sweep. */
const NONE = -1;

export class FastPath {
  readonly #options: FastPathOptions;
  readonly #connections = new Set<Connection>();
  readonly #listener: TCPSocketListener<Connection>;
  readonly #sweep: NodeJS.Timeout;
  #stopped: PromiseWithResolvers<void> | undefined;

  /** @throws when the port is taken or the host is not this machine's */
  constructor(options: FastPathOptions) {
    this.#options = options;
    const { host: hostname, port, reusePort } = options;
    const listening = {
      hostname,
      port,
      // Bun's types know it for clients only.
      reusePort,
      allowHalfOpen: true,
      socket: {
        open: (socket: Socket<Connection>) => {
          socket.data = new Connection(socket, options);
          this.#connections.add(socket.data);
        },
        data: ({ data }: Socket<Connection>, chunk: Buffer) => data.read(chunk),
        drain: ({ data }: Socket<Connection>) => data.drained(),
        end: ({ data }: Socket<Connection>) => data.ended(),
        close: ({ data }: Socket<Connection>) => this.#forget(data),
        error: (socket: Socket<Connection>, error: Error) => {
          socket.terminate();
          // What clients and networks do has a code.
          if (!("code" in error)) options.onBug(error);
        },
      },
    };
    this.#listener = Bun.listen<Connection>(listening);
    let sweptAtMs = performance.now();
    this.#sweep = setInterval(() => {
      const nowMs = performance.now();
      // A process that stood still has not read what was said meanwhile.
      const sinceMs = Math.min(nowMs - sweptAtMs, SWEEP_MS);
      sweptAtMs = nowMs;
      for (const connection of this.#connections) connection.rest(sinceMs);
    }, SWEEP_MS);
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Accepts nothing more; idle connections end, others after their answers. Resolves when none is left. */
  async stop(now = false): Promise<void> {
    const { firstRequestMs, generalServer } = this.#options;
    this.#listener.stop(false);
    clearInterval(this.#sweep);
    this.#stopped ??= Promise.withResolvers();
    const { promise: stopped } = this.#stopped;
    for (const connection of this.#connections) connection.stop(now);
    if (!now && [...this.#connections].some(({ silent }) => silent)) {
      // The first request of a new connection may be one for the general server.
      await withDeadline(stopped, firstRequestMs, "waiting for first requests").catch(() => undefined);
      for (const connection of this.#connections) connection.leave();
    }
    await generalServer.stop(now);
    if (this.#connections.size > 0) await stopped;
  }

  #forget(connection: Connection): void {
    connection.closed();
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#stopped?.resolve();
  }
}

/** One client. Its requests are answered one after another. */
class Connection {
  readonly #socket: Socket<Connection>;
  readonly #options: FastPathOptions;
  readonly #address: string;
  readonly #outlet: Outlet;
  /** An answer is waited for. */
  #busy = false;
  /** Requests behind it, in Latin-1. */
  #waiting = "";
  #asked = false;
  /** The next answer is the last. */
  #stopping = false;
  /** No request is read any more. */
  #ending = false;
  /** The client says nothing more. */
  #heard = false;
  /** Since a sweep first found it silent. */
  #silentMs = NONE;
  #passage: Passage | undefined;

  constructor(socket: Socket<Connection>, options: FastPathOptions) {
    this.#socket = socket;
    this.#options = options;
    // A connection that is closed already has none.
    this.#address = socket.remoteAddress ?? "";
    this.#outlet = new Outlet(socket);
  }

  read(chunk: Buffer): void {
    this.#silentMs = NONE;
    this.#asked = true;
    if (this.#passage !== undefined) return this.#passage.fromClient(chunk);
    if (this.#ending) return;
    const text = chunk.toString("latin1");
    if (!this.#busy && this.#outlet.empty) return this.#serve(text);
    this.#waiting += text;
    if (this.#waiting.length > this.#options.maxWaitingBytes) this.#socket.pause();
  }

  /** The kernel has room for answers again. */
  drained(): void {
    this.#silentMs = NONE;
    if (this.#passage !== undefined) this.#passage.clientDrained();
    else if (this.#outlet.drained()) this.#goOn();
  }

  /** The client says nothing more; what it asked is answered. */
  ended(): void {
    this.#heard = true;
    if (this.#passage !== undefined) this.#passage.clientEnded();
    else this.#goOn();
  }

  closed(): void {
    this.#ending = true;
    this.#passage?.clientEnded();
  }

  /** A sweep, so long after the one before; the general server looks after its connections itself. */
  rest(sinceMs: number): void {
    if (this.#busy || this.#passage !== undefined) return;
    this.#silentMs = this.#silentMs === NONE ? 0 : this.#silentMs + sinceMs;
    if (this.#silentMs < this.#options.idleTimeoutSeconds * 1_000) return;
    // Who does not take what was written, or does not hang up either, is not asked again.
    if (this.#ending || !this.#outlet.empty) this.#socket.terminate();
    else this.#end();
  }

  /** It has asked for nothing yet. */
  get silent(): boolean {
    return !this.#asked;
  }

  /** The next answer is the last; who has just connected is about to ask, and could not know that it was not read. */
  stop(now: boolean): void {
    this.#stopping = true;
    if (now) this.#socket.terminate();
    else if (this.#asked) this.leave();
  }

  /** Ends unless there is an answer to come. */
  leave(): void {
    if (!this.#busy && this.#passage === undefined) this.#end();
  }

  #serve(text: string): void {
    let answers = "";
    let at = 0;
    while (at < text.length) {
      const request = readPlainRequest(text, at);
      if (request === undefined) {
        this.#outlet.write(answers);
        return this.#passOn(Buffer.from(text.slice(at), "latin1"));
      }
      at = request.end;
      const answer = this.#options.answer(request, this.#address);
      if (answer instanceof Promise || answer instanceof Response) {
        if (answers !== "") this.#outlet.write(answers);
        this.#waiting = text.slice(at);
        return this.#answerLater(request, answer);
      }
      const ends = this.#endsAfter(request);
      answers += redirectText(answer, ends);
      if (ends) break;
    }
    this.#outlet.write(answers);
    if (this.#ending) this.#end();
    else this.#goOn();
  }

  #answerLater(request: PlainRequest, answer: Promise<FastAnswer> | Response): void {
    this.#busy = true;
    if (answer instanceof Promise) void answer.then((known) => this.#answer(request, known));
    else void this.#respond(request, answer);
  }

  #answer(request: PlainRequest, answer: FastAnswer): void | Promise<void> {
    if (answer instanceof Response) return this.#respond(request, answer);
    const ends = this.#endsAfter(request);
    this.#send(redirectText(answer, ends), ends);
  }

  async #respond(request: PlainRequest, response: Response): Promise<void> {
    const bytes = await responseBytes(response, request.method);
    const ends = this.#endsAfter(request);
    this.#send(bytes(ends), ends);
  }

  #send(bytes: string | Uint8Array, ends: boolean): void {
    this.#busy = false;
    this.#outlet.write(bytes);
    if (ends) this.#end();
    else this.#goOn();
  }

  /** As the last step before the answer leaves: a departure that has begun meanwhile counts. */
  #endsAfter(request: PlainRequest): boolean {
    if (request.closes || this.#stopping || this.#options.departing()) this.#ending = true;
    return this.#ending;
  }

  #goOn(): void {
    if (this.#busy || this.#ending || !this.#outlet.empty) return;
    if (this.#waiting === "") {
      if (this.#heard) this.#end();
      return;
    }
    const text = this.#waiting;
    this.#waiting = "";
    if (text.length > this.#options.maxWaitingBytes) this.#socket.resume();
    this.#serve(text);
  }

  #end(): void {
    this.#ending = true;
    this.#waiting = "";
    this.#outlet.end();
  }

  #passOn(first: Uint8Array): void {
    const { port, peers } = this.#options.generalServer;
    const client = { socket: this.#socket, outlet: this.#outlet, address: this.#address };
    this.#passage = new Passage(client, port(), peers, first);
    if (this.#heard) this.#passage.clientEnded();
  }
}
