// A TCP door to a server, which tests can shut: the network faults of the fault tests.
import { createConnection, createServer, type Server, type Socket } from "node:net";

/** Where the real server is. */
export type Upstream = { readonly path: string } | { readonly host: string; readonly port: number };

/** What happens to connections: passed on, refused (as when nothing listens), or accepted and never answered. */
export type ProxyMode = "pass" | "refuse" | "silence";

export class TcpProxy {
  readonly #server: Server;
  readonly #upstream: Upstream;
  readonly #pairs = new Set<readonly [Socket, Socket | undefined]>();
  #mode: ProxyMode = "pass";

  private constructor(server: Server, upstream: Upstream) {
    this.#server = server;
    this.#upstream = upstream;
  }

  static async open(upstream: Upstream): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server, upstream);
    server.on("connection", (client) => proxy.#accept(client));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy is not listening");
    return address.port;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** For new connections; open ones go on until they are cut. */
  setMode(mode: ProxyMode): void {
    this.#mode = mode;
  }

  /** Ends every open connection with a reset. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket?.resetAndDestroy();
  }

  /** Every open connection passes nothing any more and is not closed: a host that is gone, a firewall that forgot. */
  stall(): void {
    for (const [client, server] of this.#pairs) {
      if (server === undefined) continue;
      client.unpipe(server).pause();
      server.unpipe(client).pause();
    }
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    if (this.#mode === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const server = this.#mode === "pass" ? createConnection(this.#upstream) : undefined;
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server?.destroy();
    };
    for (const socket of [client, server]) socket?.on("error", end).on("close", end);
    client.setNoDelay(true);
    if (server !== undefined) client.pipe(server).pipe(client);
  }
}
