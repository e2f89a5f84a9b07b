// The kinds of value a variable can have: what each accepts, in words and in code.

import { isIP } from "node:net";
import { resolve } from "node:path";
import { parsePostgresUrl } from "../lib/postgres-url.ts";
import { parseSocketUrl } from "../lib/socket-url.ts";

/** What a value may depend on besides its own text. */
export interface Surroundings {
  /** Absolute; relative paths start here. */
  readonly cwd: string;
  /** What `auto` stands for. */
  readonly cores: number;
}

/** `refused` finishes the sentence "this value …". It quotes no part of the value, which may be a secret. */
export type Parsed<T> = { readonly value: T } | { readonly refused: string };

export interface Kind<T> {
  /** Finishes the sentence "write …"; shown in problems and in docs/configuration.md. */
  readonly accepts: string;
  readonly unit: string | undefined;
  parse(text: string, surroundings: Surroundings): Parsed<T>;
}

const NOT_ALLOWED = { refused: "is not allowed" };

function kind<T>(accepts: string, parse: Kind<T>["parse"], unit?: string): Kind<T> {
  return { accepts, unit, parse };
}

/** Decimal digits only: no sign, space, fraction, exponent or leading zero. */
export function integer(min: number, max: number, unit?: string): Kind<number> {
  const parse = (text: string): Parsed<number> => {
    const value = /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? { value } : NOT_ALLOWED;
  };
  return kind(`a whole number from ${min} to ${max}`, parse, unit);
}

export const port = integer(0, 65_535);

/** A number of processes; `auto` is one a core. */
export function processes(max: number): Kind<number> {
  const counted = integer(1, max);
  return kind(
    `${counted.accepts}, or auto`,
    (text, surroundings) =>
      text === "auto" ? { value: surroundings.cores } : counted.parse(text, surroundings),
    "processes",
  );
}

export function oneOf<const Choice extends string>(...choices: readonly Choice[]): Kind<Choice> {
  return kind(`one of ${choices.join(", ")}`, (text) => {
    const value = choices.find((choice) => choice === text);
    return value === undefined ? NOT_ALLOWED : { value };
  });
}

/** A path, made absolute. */
export const path = kind<string>("a path", (text, { cwd }) =>
  text.includes("\0") ? NOT_ALLOWED : { value: resolve(cwd, text) },
);

const HOST_LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** A last label of digits is a mistyped IPv4 address, not a name. */
function isHostName(text: string): boolean {
  const labels = text.split(".");
  return text.length <= 253 && labels.every((label) => HOST_LABEL.test(label)) && !/(^|\.)\d+$/.test(text);
}

export const host = kind<string>("an IP address (IPv6 without brackets) or a host name", (text) =>
  isIP(text) !== 0 || isHostName(text) ? { value: text } : NOT_ALLOWED,
);

/** An http or https origin, in the form `URL.origin` gives it: no slash at the end, the host in ASCII. */
export const origin = kind<string>(
  "an http:// or https:// URL without path, query, user name or password",
  (text) =>
    /^https?:\/\/[^\s/?#@\\]+\/?$/i.test(text) && URL.canParse(text)
      ? { value: new URL(text).origin }
      : NOT_ALLOWED,
);

/** Linux has room for no more (unix(7)), macOS for four less. */
const SOCKET_PATH_MAX = 107;
/** What Postgres makes in the directory of its socket. */
const POSTGRES_SOCKET = "/.s.PGSQL.65535";

export const postgresUrl = kind<string>(
  "postgres://user:password@host:port/database (postgresql:// will do), special characters in the password percent-encoded",
  (text) => {
    const url = parsePostgresUrl(text);
    if (url === undefined) return NOT_ALLOWED;
    return (url.socketDirectory ?? "").length > SOCKET_PATH_MAX - POSTGRES_SOCKET.length
      ? { refused: `names a socket by more than ${SOCKET_PATH_MAX} characters` }
      : { value: text };
  },
);

export const redisUrls = kind<string>(
  "redis://host:port, rediss://host:port or unix:///path/to/redis.sock, several hosts with commas between them for a cluster",
  (text) => {
    const socket = parseSocketUrl(text);
    if (socket !== undefined)
      return socket.path.length > SOCKET_PATH_MAX
        ? { refused: `names a socket by more than ${SOCKET_PATH_MAX} characters` }
        : { value: text };
    const good = text.split(",").every((node) => /^rediss?:\/\/[^\s/]/.test(node) && URL.canParse(node));
    return good ? { value: text } : NOT_ALLOWED;
  },
);

export const alphabet = kind<string>("at least 2 different characters of A-Z a-z 0-9 - _", (text) => {
  if (!/^[A-Za-z0-9_-]{2,}$/.test(text)) return NOT_ALLOWED;
  return new Set(text).size === text.length ? { value: text } : { refused: "repeats a character" };
});

export const apiKey = kind<string>("hop_ and then at least 32 of A-Z a-z 0-9 - _", (text) =>
  /^hop_[A-Za-z0-9_-]{32,}$/.test(text) ? { value: text } : NOT_ALLOWED,
);

/** `ADDRESS/PREFIX`, the prefix of a lone address filled in; undefined if it is neither. */
function findNetwork(text: string): string | undefined {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  // isIP lets a zone through (fe80::1%eth0); a network has none.
  if (family === 0 || address.includes("%") || rest.length > 0) return undefined;
  const longest = family === 4 ? 32 : 128;
  if (prefix === undefined) return `${address}/${longest}`;
  return /^(0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= longest ? text : undefined;
}

/** Comma-separated; spaces around a comma are harmless. */
export const networks = kind<readonly string[]>(
  "addresses or CIDRs with commas between them, such as 10.0.0.0/8,::1",
  (text) => {
    const entries = text === "" ? [] : text.split(",").map((entry) => entry.trim());
    const found = entries.map(findNetwork);
    const value = found.filter((network) => network !== undefined);
    if (value.length === found.length) return { value: Object.freeze(value) };
    return { refused: `is wrong in entry ${found.indexOf(undefined) + 1}` };
  },
);
