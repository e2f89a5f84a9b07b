// A connection that is passed on to the general server: bytes in both directions, at the pace of whoever reads them.
import type { Socket } from "bun";
import { Outlet } from "./outlet.ts";

/** Connections to the general server by their local port, with the address of the client behind each. */
export type Peers = Map<number, string>;

/** The general server listens here, for this process alone. */
export const GENERAL_HOST = "127.0.0.1";

/** What is needed of the client's socket. */
export interface Client {
  readonly socket: { pause(): void; resume(): void; terminate(): void };
  readonly outlet: Outlet;
  /** As the kernel spells it. */
  readonly address: string;
}

export class Passage {
  readonly #client: Client;
  readonly #peers: Peers;
  /** What came before there was a connection; the client is not read meanwhile. */
  #early: Uint8Array[];
  #server: { readonly socket: Socket; readonly outlet: Outlet; readonly port: number } | undefined;
  #closed = false;

  /** @param first what was read of the client already, and nobody has answered */
  constructor(client: Client, port: number, peers: Peers, first: Uint8Array) {
    this.#client = client;
    this.#peers = peers;
    this.#early = [first];
    client.socket.pause();
    const connected = Bun.connect({
      hostname: GENERAL_HOST,
      port,
      socket: {
        open: (socket) => this.#open(socket),
        data: (socket, chunk) => {
          if (!client.outlet.write(chunk)) socket.pause();
        },
        drain: () => {
          if (this.#server?.outlet.drained() === true) client.socket.resume();
        },
        close: () => this.#serverClosed(),
        // The close that follows does the rest.
        error: () => undefined,
      },
    });
    connected.catch(() => client.socket.terminate());
  }

  fromClient(chunk: Uint8Array): void {
    if (this.#server === undefined) this.#early.push(chunk);
    else if (!this.#server.outlet.write(chunk)) this.#client.socket.pause();
  }

  clientDrained(): void {
    if (this.#client.outlet.drained()) this.#server?.socket.resume();
  }

  /** The client will say nothing more, or is gone. */
  clientEnded(): void {
    this.#closed = true;
    this.#server?.outlet.end();
  }

  #open(socket: Socket): void {
    const port = socket.localPort;
    const outlet = new Outlet(socket);
    this.#server = { socket, outlet, port };
    // Before the first byte: the general server asks who it is from.
    this.#peers.set(port, this.#client.address);
    for (const chunk of this.#early) this.fromClient(chunk);
    this.#early = [];
    if (outlet.empty) this.#client.socket.resume();
    if (this.#closed) outlet.end();
  }

  #serverClosed(): void {
    if (this.#server !== undefined) this.#peers.delete(this.#server.port);
    this.#client.outlet.end();
  }
}
