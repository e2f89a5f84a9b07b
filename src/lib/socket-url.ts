// Redis at a Unix socket, spelled as redis-py, go-redis and node-redis do: unix://[user:password@]/path/to/redis.sock[?db=N]

export interface SocketUrl {
  /** Absolute. */
  readonly path: string;
  /** Both empty when there are none. */
  readonly username: string;
  readonly password: string;
  /** The same two as they stand in the URL, percent-encoded and with their `@`. */
  readonly credentials: string;
  readonly database: number;
}

/** The plain characters of a path need no encoding, and no client reads them differently. */
const SOCKET_URL = /^unix:\/\/((?:[^\s/?#@:]*:[^\s/?#@:]*@)?)(\/[\w./+~-]*[\w+~-])(?:\?db=(\d{1,5}))?$/;

/** Undefined for anything else. */
export function parseSocketUrl(text: string): SocketUrl | undefined {
  const [, credentials, path, database = "0"] = SOCKET_URL.exec(text) ?? [];
  if (credentials === undefined || path === undefined) return undefined;
  // The URL of a host, whose rules for the rest are the same.
  const url = URL.parse(`redis://${credentials}localhost`);
  if (url === null) return undefined;
  try {
    const username = decodeURIComponent(url.username);
    const password = decodeURIComponent(url.password);
    return { path, username, password, credentials, database: Number(database) };
  } catch {
    // A percent sign that encodes nothing.
    return undefined;
  }
}
