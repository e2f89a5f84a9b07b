// Opens the stream of clicks that the configuration means: its sending end for servers, its Redis for workers and commands.
import { type Config, ConfigError } from "./config.ts";
import { errorMessage } from "./lib/errors.ts";
import { type Log, warnSeldom } from "./lib/log.ts";
import { isUntrusted } from "./lib/tls.ts";
import {
  connected,
  isCluster,
  openRedis,
  type RedisAddress,
  type RedisClient,
} from "./storage/redis/client.ts";
import { openConnection } from "./storage/redis/connection.ts";
import { RedisClickStream } from "./storage/redis/click-stream.ts";
import { adviceFor } from "./storage/redis/settings.ts";
import type { StreamInstruments } from "./stream-instruments.ts";

/** The stream's Redis and its shape. */
export interface StreamPlace {
  readonly address: RedisAddress;
  readonly partitions: number;
}

const CLUSTER_PARTITIONS = 8;

/** @throws ConfigError when no Redis is configured */
export function redisAddress({ redisUrl, redisTimeoutMs, redisConnectTimeoutMs }: Config): RedisAddress {
  if (redisUrl === undefined) {
    throw new ConfigError([
      "HOP_REDIS_URL: this needs Redis; set it to redis://host:port or unix:///path/to/redis.sock",
    ]);
  }
  return { url: redisUrl, commandTimeoutMs: redisTimeoutMs, connectTimeoutMs: redisConnectTimeoutMs };
}

/** @throws ConfigError when no Redis is configured */
export function streamPlace(config: Config): StreamPlace {
  const address = redisAddress(config);
  return { address, partitions: config.streamPartitions ?? (isCluster(address) ? CLUSTER_PARTITIONS : 1) };
}

/** Says that Redis is away, without the URL, which may hold a password. */
export function complain(log: Log): (error: unknown) => void {
  return warnSeldom(log, "Redis does not answer; trying again", (error) => ({
    reason: withHint(errorMessage(error)),
  }));
}

/** What the errors of a system and of a client mean to an operator. */
function withHint(reason: string): string {
  if (reason.includes("isn't writeable")) return "there is no connection";
  if (isUntrusted(reason))
    return `${reason}: if its authority is your own, start hop with NODE_EXTRA_CA_CERTS=/path/to/ca.pem`;
  if (reason.includes("EACCES")) return `${reason}: add hop's user to the socket's group`;
  // A server that hangs up does not say why: if it is not being restarted, these are the usual reasons.
  return /ECONNRESET|EPIPE/.test(reason)
    ? `${reason}: if that goes on, it is in protected mode and wants a password, or it wants TLS (rediss://)`
    : reason;
}

/** Does not wait for Redis: until it answers, appends are refused. */
export function openClickStream(
  config: Config,
  instruments: StreamInstruments,
  log: Log,
  started: AsyncDisposableStack,
): RedisClickStream {
  const { address, partitions } = streamPlace(config);
  const onError = complain(log);
  const connection = openConnection(address, "hop-clicks", onError);
  started.defer(() => connection.close());
  const client = openRedis(address, "hop", onError);
  started.defer(() => client.disconnect());
  const stream = new RedisClickStream({
    connection,
    client,
    partitions,
    waitReplicas: config.streamWaitReplicas,
    waitMs: config.streamWaitMs,
    maxBytes: config.streamMaxBytes,
    resendMs: config.streamResendMs,
    resendMaxBytes: config.streamResendBytes,
    behindEntries: config.streamBehindEntries,
    // A batch that pauses still has time to be confirmed.
    pauseMs: Math.min(config.streamPauseMs, config.clicksWaitMs / 2),
    checkEveryMs: config.streamCheckMs,
    onSize: (sizes) => instruments.setSizes(sizes),
    onResent: (entries) => {
      instruments.resent.inc(entries);
      log.warn(
        { batches: entries },
        "Redis was restarted, replaced or emptied: sent again what it had confirmed lately",
      );
    },
    onCheckFailed: onError,
  });
  started.defer(() => stream.close());
  // Until the master is known, what is confirmed counts as in doubt and would be sent twice.
  void connection.ready.then(() => stream.check()).catch(onError);
  client.once("ready", () => void advise(client, address, log));
  return stream;
}

async function advise(client: RedisClient, address: RedisAddress, log: Log): Promise<void> {
  try {
    for (const advice of await adviceFor(client, isCluster(address))) log.warn({}, advice);
  } catch (error) {
    log.warn({ err: error }, "the settings of Redis could not be read");
  }
}

const RETRY_MS = 250;
/** To connect takes milliseconds; until then nobody needs to be told. */
const FIRST_MS = 1_000;

/** Waits until Redis takes commands. @throws Error that says what to mend */
export async function waitForRedis(place: StreamPlace, timeoutMs: number, log: Log): Promise<RedisClient> {
  let reason = "no answer";
  const client = openRedis(place.address, "hop", (error) => {
    reason = error.message || reason;
  });
  const deadlineMs = performance.now() + timeoutMs;
  await connected(client, Math.min(FIRST_MS, timeoutMs)).catch(() => undefined);
  for (let attempt = 1; ; attempt++) {
    try {
      await client.exists("hop");
      await advise(client, place.address, log);
      return client;
    } catch (error) {
      if (!/writeable|closed|isn't ready/i.test(String(error))) reason = String(error);
      if (/WRONGPASS|NOAUTH|NOPERM/.test(reason)) {
        client.disconnect();
        throw new Error(`HOP_REDIS_URL: Redis refuses (${reason}); correct the URL`, { cause: error });
      }
      if (performance.now() > deadlineMs) {
        client.disconnect();
        const seconds = Math.round(timeoutMs / 1_000);
        throw new Error(
          `HOP_REDIS_URL: Redis did not answer for ${seconds} s (${withHint(reason)}); start it or correct the URL`,
          { cause: error },
        );
      }
      if (attempt === 1) log.warn({ reason: withHint(reason) }, "waiting for Redis");
      await Bun.sleep(RETRY_MS);
    }
  }
}
