// The table of every variable: name, kind, default and meaning. Loading, problems and docs all come from it.

import { BOUNDS } from "./bounds.ts";
import { CACHE_BOUNDS } from "./cache-bounds.ts";
import { FLEET_BOUNDS } from "./fleet-bounds.ts";
import * as kinds from "./kinds.ts";
import { LIMIT_BOUNDS } from "./limit-bounds.ts";
import { OUTAGE_BOUNDS } from "./outage-bounds.ts";
import { REPLICA_BOUNDS, REPLICA_VARIABLES } from "./replica-variables.ts";
import { STREAM_BOUNDS } from "./stream-bounds.ts";
import { TRACE_BOUNDS, TRACE_VARIABLES } from "./trace-variables.ts";

const ALL_BOUNDS = {
  ...BOUNDS,
  ...OUTAGE_BOUNDS,
  ...CACHE_BOUNDS,
  ...STREAM_BOUNDS,
  ...REPLICA_BOUNDS,
  ...TRACE_BOUNDS,
  ...FLEET_BOUNDS,
  ...LIMIT_BOUNDS,
};

type Bounds = { readonly [Name in keyof typeof ALL_BOUNDS]: number };

/** What hop runs with. Each field is a variable of VARIABLES: `codeLength` is HOP_CODE_LENGTH. */
export interface Config extends Bounds {
  readonly host: string;
  /** 0 is any free port. */
  readonly port: number;
  readonly adminHost: string;
  /** 0 turns the admin listener off. */
  readonly adminPort: number;
  /** As `adminPort`, of `hop work`. */
  readonly workAdminPort: number;
  /** An origin without a slash at the end; undefined is http://localhost and the port, once that is bound. */
  readonly baseUrl: string | undefined;
  readonly workers: number;
  readonly fastPath: "on" | "off";
  /** `ADDRESS/PREFIX` each. */
  readonly trustedProxies: readonly string[];
  /** Absolute. */
  readonly dataDir: string;
  /** Undefined is the embedded Postgres. */
  readonly databaseUrl: string | undefined;
  /** Undefined: every lookup goes to the primary. */
  readonly databaseReadUrl: string | undefined;
  /** The most connections one process opens. */
  readonly databaseConnections: number;
  /** Several nodes, with commas between them, are a cluster. */
  readonly redisUrl: string | undefined;
  /** Undefined is 1, and more with a cluster. */
  readonly streamPartitions: number | undefined;
  /** Replicas that must have a batch before it is confirmed. */
  readonly streamWaitReplicas: number;
  readonly clicks: "inline" | "batch" | "stream";
  readonly clicksAck: "durable" | "async";
  readonly clicksWaitMs: number;
  readonly clicksRetentionDays: number;
  readonly cache: "off" | "memory" | "redis" | "tiered";
  readonly codeLength: number;
  readonly codeAlphabet: string;
  /** Undefined: a key is made on the first start. */
  readonly adminKey: string | undefined;
  /** Undefined: nothing is traced, and nothing of it is loaded. */
  readonly traceUrl: string | undefined;
  /** 0 to 1. */
  readonly traceSample: number;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
}

export type Field = keyof Config;
export type FlagName = "port" | "workers";
export type Group =
  | "Serving"
  | "Storage"
  | "Clicks"
  | "Cache"
  | "Codes"
  | "Access and logs"
  | "Rate limits"
  | "Bounds";

/** One row. Defaults are text as an operator would write it, so that they pass through the same kind. */
export interface Variable<T = unknown> {
  readonly name: string;
  readonly group: Group;
  readonly kind: kinds.Kind<T>;
  readonly default?: string;
  /** Takes the place of `default` when HOP_REDIS_URL is set. */
  readonly defaultWithRedis?: string;
  /** For a variable with no default, or an empty one: what being unset means. */
  readonly unset?: string;
  readonly flag?: FlagName;
  /** Never shown, not even when it is wrong. */
  readonly secret?: true;
  readonly doc: string;
}

/** A field that can't be undefined must have a default. */
type VariableOf<T> = Variable<Exclude<T, undefined>> &
  (undefined extends T ? { readonly unset: string } : { readonly default: string });

export const VARIABLES: { readonly [Name in Field]: VariableOf<Config[Name]> } = {
  port: {
    name: "HOP_PORT",
    group: "Serving",
    kind: kinds.port,
    default: "8080",
    flag: "port",
    doc: "port of the public listener; 0 is any free port",
  },
  host: {
    name: "HOP_HOST",
    group: "Serving",
    kind: kinds.host,
    default: "127.0.0.1",
    doc: "address of the public listener; 0.0.0.0 or :: is every interface",
  },
  adminPort: {
    name: "HOP_ADMIN_PORT",
    group: "Serving",
    kind: kinds.port,
    default: "9090",
    doc: "port of /metrics, /livez and /readyz; 0 turns this listener off",
  },
  adminHost: {
    name: "HOP_ADMIN_HOST",
    group: "Serving",
    kind: kinds.host,
    default: "127.0.0.1",
    doc: "address of the admin listener",
  },
  workAdminPort: {
    name: "HOP_WORK_ADMIN_PORT",
    group: "Serving",
    kind: kinds.port,
    default: "9091",
    doc: "as HOP_ADMIN_PORT, of `hop work`, so that both can run on one host",
  },
  baseUrl: {
    name: "HOP_BASE_URL",
    group: "Serving",
    kind: kinds.origin,
    unset: "http://localhost:PORT",
    doc: "what short URLs begin with; a slash at the end is dropped",
  },
  workers: {
    name: "HOP_WORKERS",
    group: "Serving",
    kind: kinds.processes(1024),
    default: "1",
    flag: "workers",
    doc: "processes that share the port; auto is one a core",
  },
  fastPath: {
    name: "HOP_FAST_PATH",
    group: "Serving",
    kind: kinds.oneOf("on", "off"),
    default: "on",
    doc: "plain requests for short links are answered without a general HTTP server in between",
  },
  trustedProxies: {
    name: "HOP_TRUSTED_PROXIES",
    group: "Serving",
    kind: kinds.networks,
    default: "",
    unset: "none",
    doc: "proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; a lone address is a network of one",
  },
  dataDir: {
    name: "HOP_DATA_DIR",
    group: "Storage",
    kind: kinds.path,
    default: "./.hop",
    doc: "embedded Postgres and the spool; a relative path starts at the working directory",
  },
  databaseUrl: {
    name: "HOP_DATABASE_URL",
    group: "Storage",
    kind: kinds.postgresUrl,
    unset: "embedded Postgres",
    secret: true,
    doc: "Postgres; at a Unix socket with ?host=/var/run/postgresql, over TLS with ?sslmode=verify-full&sslrootcert=/path/to/ca.pem",
  },
  databaseConnections: {
    name: "HOP_DATABASE_CONNECTIONS",
    group: "Storage",
    kind: kinds.integer(1, 200, "connections"),
    default: "10",
    doc: "the most connections one process opens to Postgres",
  },
  redisUrl: {
    name: "HOP_REDIS_URL",
    group: "Storage",
    kind: kinds.redisUrls,
    unset: "no Redis",
    secret: true,
    doc: "Redis or Valkey, version 7 or newer",
  },
  clicks: {
    name: "HOP_CLICKS",
    group: "Clicks",
    kind: kinds.oneOf("inline", "batch", "stream"),
    default: "batch",
    defaultWithRedis: "stream",
    doc: "how clicks are recorded: one INSERT each, one INSERT a batch, or through a Redis Stream",
  },
  streamPartitions: {
    name: "HOP_STREAM_PARTITIONS",
    group: "Clicks",
    kind: kinds.integer(1, 256, "partitions"),
    unset: "1, with a cluster 8",
    doc: "streams that the clicks are spread over; the same for all processes, and lowered only when they are empty",
  },
  streamWaitReplicas: {
    name: "HOP_STREAM_WAIT_REPLICAS",
    group: "Clicks",
    kind: kinds.integer(0, 10, "replicas"),
    default: "0",
    doc: "replicas of Redis that must have a click before it counts as stored",
  },
  clicksAck: {
    name: "HOP_CLICKS_ACK",
    group: "Clicks",
    kind: kinds.oneOf("durable", "async"),
    default: "durable",
    doc: "durable answers a redirect once its click is stored; async answers at once and may lose clicks",
  },
  clicksWaitMs: {
    name: "HOP_CLICKS_WAIT_MS",
    group: "Clicks",
    kind: kinds.integer(1, 60_000, "ms"),
    default: "50",
    doc: "a batch goes to the spool when it isn't stored after this; not more than HOP_CLICKS_TIMEOUT_MS",
  },
  clicksRetentionDays: {
    name: "HOP_CLICKS_RETENTION_DAYS",
    group: "Clicks",
    kind: kinds.integer(1, 36_500, "days"),
    default: "400",
    doc: "clicks older than this are dropped; totals stay",
  },
  cache: {
    name: "HOP_CACHE",
    group: "Cache",
    kind: kinds.oneOf("off", "memory", "redis", "tiered"),
    default: "memory",
    defaultWithRedis: "tiered",
    doc: "where links are cached: nowhere, in each process, in Redis, or in each process and then in Redis",
  },
  codeLength: {
    name: "HOP_CODE_LENGTH",
    group: "Codes",
    kind: kinds.integer(1, 64, "characters"),
    default: "7",
    doc: "length of generated codes",
  },
  codeAlphabet: {
    name: "HOP_CODE_ALPHABET",
    group: "Codes",
    kind: kinds.alphabet,
    // Digits and letters without 0 O o, 1 l I i.
    default: "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz",
    doc: "characters of generated codes; the default's 55 leave out those that look alike",
  },
  adminKey: {
    name: "HOP_ADMIN_KEY",
    group: "Access and logs",
    kind: kinds.apiKey,
    unset: "made on the first start",
    secret: true,
    doc: "the first API key",
  },
  logLevel: {
    name: "HOP_LOG_LEVEL",
    group: "Access and logs",
    kind: kinds.oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
    default: "info",
    doc: "the least severe log line that is written",
  },
  ...REPLICA_VARIABLES,
  ...TRACE_VARIABLES,
  ...ALL_BOUNDS,
};

/** In the order of the table. */
export const FIELDS: readonly Field[] = keysOf(VARIABLES);

/** `Object.keys`, for a table that has exactly the keys of its type. */
export function keysOf<Table extends object>(table: Table): Extract<keyof Table, string>[] {
  const keys: Extract<keyof Table, string>[] = [];
  for (const key in table) keys.push(key);
  return keys;
}
