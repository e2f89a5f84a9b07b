// URLs of Postgres: sockets and certificates as libpq spells them (Postgres manual, 34.1.1.2 and 34.1.2), which the driver does not know.

export interface PostgresUrl {
  /** For the driver: hosts, user and database, and the parameters that are its own or the server's. */
  readonly url: string;
  /** The directory of a Unix socket that is meant instead of the hosts. */
  readonly socketDirectory: string | undefined;
  /** Undefined where the driver's reading of `sslmode` will do. */
  readonly tls: PostgresTls | undefined;
}

export interface PostgresTls {
  /** What the server's certificate has to prove: that an authority knows it, or that it is also this host's. */
  readonly verifies: "nothing" | "authority" | "host";
  /** Paths of PEM files: the authorities, and the certificate of this client with its key. */
  readonly authorities: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

/** Several hosts may be listed with commas, and none be named beside a socket; hence not a plain URL. */
const PARTS = /^(postgres(?:ql)?:\/\/(?:[^\s/?#@]*@)?)([^\s/?#@]*)((?:\/[^\s?]*)?)((?:\?\S*)?)$/;
/** A directory in the place of a host, its slashes encoded. */
const SOCKET_HOST = /^(%2f.*?)(?::(\d*))?$/i;

/** Undefined for what is no such URL. */
export function parsePostgresUrl(text: string): PostgresUrl | undefined {
  const [, front, hosts, path = "", query] = PARTS.exec(text) ?? [];
  if (front === undefined || hosts === undefined) return undefined;
  const parameters = new URLSearchParams(query);
  const take = (name: string) => {
    const value = parameters.get(name) ?? undefined;
    parameters.delete(name);
    return value;
  };
  const [, encoded = "", port = ""] = SOCKET_HOST.exec(hosts) ?? [];
  const directory = parameters.get("host")?.startsWith("/") ? take("host") : decoded(encoded);
  if (directory === undefined) return undefined;
  const socketDirectory = directory === "" ? undefined : directory;
  const authority = socketDirectory === undefined ? hosts : `localhost:${take("port") ?? port}`;
  if (!authority.split(",").every((host) => URL.canParse(`${front}${host}${path}`))) return undefined;
  const tls = tlsOf(parameters.get("sslmode"), take("sslrootcert"), take("sslcert"), take("sslkey"));
  // The driver cannot bind its password to the channel. `verify-full` keeps out whom that would.
  take("channel_binding");
  // As libpq does, which has no TLS in a socket.
  if (socketDirectory !== undefined) take("sslmode");
  const rest = parameters.size === 0 ? "" : `?${parameters.toString()}`;
  return {
    url: `${front}${authority}${path}${rest}`,
    socketDirectory,
    tls: socketDirectory === undefined ? tls : undefined,
  };
}

function tlsOf(
  mode: string | null,
  authorities: string | undefined,
  certificate: string | undefined,
  key: string | undefined,
): PostgresTls | undefined {
  const named = [authorities, certificate, key].some((file) => file !== undefined);
  if (mode === "disable" || (!named && mode !== "verify-ca")) return undefined;
  return {
    verifies: verifies(mode, authorities !== undefined),
    // Those that every program here trusts.
    authorities: authorities === "system" ? undefined : authorities,
    certificate,
    key,
  };
}

/** As libpq, but for one case: who names authorities and no mode gets them asked, and not a certificate that nobody looks at. */
function verifies(mode: string | null, withAuthorities: boolean): PostgresTls["verifies"] {
  if (mode === "verify-full") return "host";
  if (mode === "verify-ca") return "authority";
  if (!withAuthorities) return "nothing";
  return mode === "require" ? "authority" : "host";
}

/** Undefined where a percent sign encodes nothing. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
