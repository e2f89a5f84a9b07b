// How the public listener ends, with the fast path and without: every request that was sent is answered, and says goodbye.
import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { TrustedProxies } from "../../src/http/client-address.ts";
import type { Redirected } from "../../src/http/redirect.ts";
import { type Listener, listen, type ServerOptions } from "../../src/http/server.ts";
import { withDeadline } from "../../src/lib/deadline.ts";
import { waitFor } from "../helpers/wait-for.ts";

const DEADLINE_MS = 10_000;
const FIRST_REQUEST_MS = 300;
const REQUEST = "GET /known HTTP/1.1\r\nHost: hop.test\r\n\r\n";
const REDIRECTED: Redirected = { status: 302, location: "https://example.com/", requestId: "1" };

class Client {
  readonly #socket: Socket;
  received = "";
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
  }

  static async open(port: number): Promise<Client> {
    const socket = connect(port, "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    return new Client(socket);
  }

  ask(request = REQUEST): void {
    this.#socket.write(request);
  }

  async answered(count = 1): Promise<void> {
    await waitFor("the answer", () => this.received.split("HTTP/1.1 302").length > count);
  }

  get saysGoodbye(): boolean {
    return /\r\nconnection: close\r\n/i.test(this.received);
  }

  end(): void {
    this.#socket.destroy();
  }
}

function atOnce(): Redirected | Promise<Redirected> {
  return REDIRECTED;
}

function openListener(options: Pick<ServerOptions, "redirect"> & Partial<ServerOptions>): Listener {
  return listen({
    host: "127.0.0.1",
    port: 0,
    idleTimeoutSeconds: 30,
    maxBodyBytes: 1_000,
    maxWaitingBytes: 1_000,
    firstRequestMs: FIRST_REQUEST_MS,
    preview: async () => new Response("a preview"),
    app: { fetch: () => new Response("an app") },
    trustedProxies: new TrustedProxies([]),
    sharing: "alone",
    onBug: (error) => expect(error).toBeUndefined(),
    departing: () => false,
    fastPath: "on",
    ...options,
  });
}

describe.each(["on", "off"] as const)("a listener with the fast path %s", (fastPath) => {
  let listener: Listener;
  let departing = false;
  let asked = 0;
  let answer = atOnce;
  const clients: Client[] = [];

  const open = () => {
    [departing, asked] = [false, 0];
    listener = openListener({
      fastPath,
      departing: () => departing,
      redirect: () => {
        asked++;
        return answer();
      },
    });
  };
  const client = async () => {
    const opened = await Client.open(listener.port);
    clients.push(opened);
    return opened;
  };
  afterEach(async () => {
    for (const each of clients.splice(0)) each.end();
    await listener.stop(true);
    answer = atOnce;
  });

  test("says Connection: close in an answer that leaves after the departure has begun, though its request came before", async () => {
    open();
    const { promise, resolve } = Promise.withResolvers<Redirected>();
    answer = () => promise;
    const visitor = await client();
    visitor.ask();
    await waitFor("the request", () => asked === 1);
    departing = true;
    resolve(REDIRECTED);
    await visitor.answered();
    expect(visitor.saysGoodbye).toBe(true);
    await waitFor("the connection to be closed", () => visitor.closed);
  });

  test("does not say so before", async () => {
    open();
    const visitor = await client();
    visitor.ask();
    await visitor.answered();
    expect(visitor.saysGoodbye).toBe(false);
    visitor.ask();
    await visitor.answered(2);
  });

  test("stops when what is in flight is answered", async () => {
    open();
    const { promise, resolve } = Promise.withResolvers<Redirected>();
    const [resting, waiting] = [await client(), await client()];
    resting.ask();
    await resting.answered();
    answer = () => promise;
    waiting.ask();
    await waitFor("the request", () => asked === 2);
    let stopped = false;
    const stop = listener.stop().finally(() => {
      stopped = true;
    });
    await waitFor("the resting connection to be closed", () => resting.closed);
    expect([stopped, waiting.closed]).toEqual([false, false]);
    resolve(REDIRECTED);
    await withDeadline(stop, DEADLINE_MS, "stopping");
    await waiting.answered();
  });
});

test("a connection that was just made is answered once by a listener that stops, and one that asks nothing is closed soon", async () => {
  const listener = openListener({ redirect: atOnce });
  const [eager, other, silent, known] = [
    await Client.open(listener.port),
    await Client.open(listener.port),
    await Client.open(listener.port),
    await Client.open(listener.port),
  ];
  // Connections are accepted in their order, so those before it are open too.
  known.ask();
  await known.answered();
  const stop = listener.stop();
  eager.ask();
  other.ask("GET /an/app HTTP/1.1\r\nHost: hop.test\r\n\r\n");
  await eager.answered();
  expect(eager.saysGoodbye).toBe(true);
  await waitFor("the app's answer", () => other.received.includes("an app"));
  await withDeadline(stop, DEADLINE_MS, "stopping");
  await waitFor("all to be closed", () => [eager, other, silent, known].every(({ closed }) => closed));
  expect(silent.received).toBe("");
});
