// A connection for what every redirect waits for: commands in order, with as little between them and the socket as there can be.
import { RedisClient as BunRedis } from "bun";
import { withDeadline } from "../../lib/deadline.ts";
import { interval } from "../../lib/loop.ts";
import { parseSocketUrl, type SocketUrl } from "../../lib/socket-url.ts";
import {
  isCluster,
  openRedis,
  RECONNECT_MS,
  type RedisAddress,
  type RedisClient,
  repliesOf,
} from "./client.ts";

/** A command's name and its arguments; the first one of all is a key, which in a cluster decides where they go. */
export type RedisCommand = readonly [name: string, ...rest: (string | Buffer)[]];

export interface RedisConnection {
  /**
   * Sends commands together, so that one answers for those before it (WAIT); replies come in their order.
   * @throws the first error among the replies, or that Redis is not connected or took longer than the address allows: then
   * some of the commands may have been carried out all the same
   */
  send(commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
  /** Resolves when commands can be sent for the first time. */
  readonly ready: Promise<void>;
  /** What was sent and not answered fails. */
  close(): void;
}

/**
 * Connects in the background and for ever; `send` fails while there is no connection. `onError` hears of every failed attempt.
 *
 * To one server it is Bun's own client and not ioredis: an append of 22 clicks in a loop took 30 us of CPU time, by ioredis 53,
 * and by a bare socket 31.
 *
 * @param name what CLIENT LIST calls it; Redis takes no spaces in it
 */
export function openConnection(
  address: RedisAddress,
  name: string,
  onError: (error: Error) => void,
): RedisConnection {
  return isCluster(address)
    ? new ClusterConnection(address, name, onError)
    : new ServerConnection(address, name, onError);
}

class ServerConnection implements RedisConnection {
  readonly #address: RedisAddress;
  readonly #name: string;
  readonly #onError: (error: Error) => void;
  readonly #closing = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  /** Undefined while there is no connection. */
  #client: BunRedis | undefined;

  constructor(address: RedisAddress, name: string, onError: (error: Error) => void) {
    this.#address = address;
    this.#name = name;
    this.#onError = onError;
    void this.#keepConnected();
  }

  async send(commands: readonly RedisCommand[]): Promise<readonly unknown[]> {
    const client = this.#client;
    if (client === undefined) throw new Error("Redis is not connected");
    const replies = Promise.all(commands.map(([command, ...rest]) => client.send(command, rest as string[])));
    // A connection that the network forgot looks idle for ever; with a question open, silence means it is gone.
    return withDeadline(replies, this.#address.commandTimeoutMs, "asking Redis", () => client.close());
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  close(): void {
    this.#closing.abort();
    this.#client?.close();
  }

  async #keepConnected(): Promise<void> {
    const { signal } = this.#closing;
    do {
      try {
        await this.#live();
      } catch (error) {
        if (!signal.aborted) this.#onError(error instanceof Error ? error : new Error(String(error)));
      }
    } while (await interval(RECONNECT_MS, signal));
  }

  /** One connection from its beginning to its end. @throws when it never began, or why it ended */
  async #live(): Promise<void> {
    const { url, connectTimeoutMs, commandTimeoutMs } = this.#address;
    const socket = parseSocketUrl(url);
    const client = new BunRedis(socket === undefined ? url : bunUrl(socket), {
      connectionTimeout: connectTimeoutMs,
      autoReconnect: false,
      // What was not answered is the caller's to repeat: only it knows whether that is safe.
      enableOfflineQueue: false,
    });
    const { promise: lost, reject } = Promise.withResolvers<never>();
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it has none
    client.onclose = reject;
    try {
      const greet = async () => {
        await client.connect();
        await client.send("CLIENT", ["SETNAME", this.#name]);
        // In the URL of a host Bun sees to it.
        if (socket !== undefined) await client.send("SELECT", [String(socket.database)]);
      };
      await Promise.race([
        lost,
        withDeadline(greet(), connectTimeoutMs + commandTimeoutMs, "connecting to Redis"),
      ]);
      if (this.#closing.signal.aborted) return;
      this.#client = client;
      this.#ready.resolve();
      await lost;
    } finally {
      this.#client = undefined;
      client.close();
    }
  }
}

/** Bun knows user and password of a socket only where a host could stand. */
function bunUrl({ credentials, path }: SocketUrl): string {
  return `redis+unix://${credentials}localhost${path}`;
}

class ClusterConnection implements RedisConnection {
  readonly #client: RedisClient;
  readonly #timeoutMs: number;
  readonly ready: Promise<void>;

  constructor(address: RedisAddress, name: string, onError: (error: Error) => void) {
    this.#client = openRedis(address, name, onError);
    this.#timeoutMs = address.commandTimeoutMs;
    this.ready = new Promise((resolve) => this.#client.once("ready", () => resolve()));
  }

  async send(commands: readonly RedisCommand[]): Promise<readonly unknown[]> {
    // By the names of its methods.
    const pipeline = this.#client.pipeline(
      commands.map(([command, ...rest]) => [command.toLowerCase(), ...rest]),
    );
    try {
      return repliesOf(await withDeadline(pipeline.exec(), this.#timeoutMs, "asking Redis"));
    } catch (error) {
      // The cluster may have moved; the next attempt should know.
      if ("refreshSlotsCache" in this.#client) this.#client.refreshSlotsCache();
      throw error;
    }
  }

  close(): void {
    this.#client.disconnect();
  }
}
