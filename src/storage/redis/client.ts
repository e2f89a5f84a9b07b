// Connections to Redis or Valkey, one server or a cluster, that fail soon instead of queueing what they cannot send.
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { withDeadline } from "../../lib/deadline.ts";
import { AppError } from "../../lib/errors.ts";
import { parseSocketUrl } from "../../lib/socket-url.ts";

export type RedisClient = Redis | Cluster;

export interface RedisAddress {
  /** redis://, rediss:// or unix://; several with commas between them are nodes of one cluster. */
  readonly url: string;
  /** A command is given up after this. */
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

/** A lost server is asked again this often: a redirect may be waiting. */
export const RECONNECT_MS = 100;
/** Hops of one command through a cluster that moves; then its caller tries again. */
const MAX_REDIRECTIONS = 4;

export function isCluster(address: Pick<RedisAddress, "url">): boolean {
  return address.url.includes(",");
}

/**
 * Connects in the background and for ever; a command fails while there is no connection. `onError` hears of every failed
 * attempt.
 * @param name what CLIENT LIST calls it; Redis takes no spaces in it
 */
export function openRedis(address: RedisAddress, name: string, onError: (error: Error) => void): RedisClient {
  return open(address, name, onError, {
    commandTimeout: address.commandTimeoutMs,
    // A connection that the network forgot looks idle for ever; with a question open, silence means it is gone.
    socketTimeout: address.commandTimeoutMs * 2,
  });
}

/** As `openRedis`, for commands that wait up to `blockMs` on the server: nothing else may share the connection. */
export function openBlockingRedis(
  address: RedisAddress,
  name: string,
  blockMs: number,
  onError: (error: Error) => void,
): RedisClient {
  const patienceMs = blockMs + address.commandTimeoutMs;
  return open(address, name, onError, { commandTimeout: patienceMs, socketTimeout: patienceMs });
}

function open(
  address: RedisAddress,
  name: string,
  onError: (error: Error) => void,
  timeouts: Pick<RedisOptions, "commandTimeout" | "socketTimeout">,
): RedisClient {
  const shared = {
    ...timeouts,
    connectTimeout: address.connectTimeoutMs,
    connectionName: name,
    // Redis 7 and every Valkey speak it; nothing here needs RESP3.
    protocol: 2,
    // What was not answered is the caller's to repeat: only it knows whether that is safe.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  } as const;
  const client = isCluster(address) ? openCluster(address.url, shared) : openSingle(address.url, shared);
  client.on("error", onError);
  return client;
}

type SharedOptions = Pick<
  RedisOptions,
  | "commandTimeout"
  | "socketTimeout"
  | "connectTimeout"
  | "connectionName"
  | "protocol"
  | "autoResendUnfulfilledCommands"
  | "maxRetriesPerRequest"
>;

function openSingle(url: string, shared: SharedOptions): Redis {
  const options = { ...shared, enableOfflineQueue: false, retryStrategy: () => RECONNECT_MS };
  const socket = parseSocketUrl(url);
  if (socket === undefined) return new Redis(url, options);
  const { path, username, password, database } = socket;
  return new Redis({ ...options, path, username, password, db: database });
}

function openCluster(url: string, shared: SharedOptions): Cluster {
  const nodes = url.split(",").map((node) => new URL(node));
  const [first] = nodes;
  if (first === undefined) throw new Error("a cluster has at least one node");
  const secure = first.protocol === "rediss:";
  return new Cluster(
    nodes.map(({ hostname, port }) => ({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? DEFAULT_PORT : Number(port),
    })),
    {
      redisOptions: {
        ...shared,
        ...(first.username !== "" && { username: decodeURIComponent(first.username) }),
        ...(first.password !== "" && { password: decodeURIComponent(first.password) }),
        ...(secure && { tls: {} }),
      },
      // A certificate names the host, so it must not be looked up before the connection is made.
      ...(secure && { dnsLookup: (host, found) => found(null, host) }),
      enableOfflineQueue: false,
      maxRedirections: MAX_REDIRECTIONS,
      clusterRetryStrategy: () => RECONNECT_MS,
      slotsRefreshTimeout: shared.connectTimeout ?? 1_000,
      slotsRefreshInterval: 1_000,
    },
  );
}

const DEFAULT_PORT = 6_379;

/** Calls back whenever a server was lost, whose place an older state of it may take. */
export function onServerLost(client: RedisClient, lost: () => void): void {
  client.on("close", lost);
  // In a cluster one of many.
  client.on("-node", lost);
}

/** Resolves when commands can be sent for the first time. @throws DeadlineError when that takes too long */
export async function connected(client: RedisClient, timeoutMs: number): Promise<void> {
  if (client.status === "ready") return;
  const ready = new Promise<void>((resolve) => client.once("ready", () => resolve()));
  await withDeadline(ready, timeoutMs, "connecting to Redis");
}

/** For a command that was not confirmed, whatever the reason. */
export function redisUnavailable(cause: unknown): AppError {
  return new AppError("TEMPORARILY_UNAVAILABLE", "Redis cannot be reached now; try again.", { cause });
}

type PipelineResults = [error: Error | null, result: unknown][] | null;

/** The replies of a pipeline or a transaction. @throws the first error among them */
export function repliesOf(results: PipelineResults): unknown[] {
  // A transaction without a result was given up by the server.
  if (results === null) throw new Error("Redis gave the transaction up");
  return results.map(([error, reply]) => {
    if (error !== null) throw error;
    return reply;
  });
}
