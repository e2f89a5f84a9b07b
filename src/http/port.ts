// Ports that cannot be opened, explained; and a port that several processes are to share, which must be nobody's yet.

/** Where a listener is to be, and which variables said so. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly names: { readonly host: string; readonly port: string };
}

/** @throws Error that names the variable and the mend when the port is taken, forbidden, or the host is not this machine's */
export function openPort<Listener>(place: Place, open: () => Listener): Listener {
  try {
    return open();
  } catch (error) {
    throw new Error(explain(place, error), { cause: error });
  }
}

/**
 * A port that is opened to be shared opens also when another program shares it already; opening it alone first does not.
 * @throws Error as `openPort`
 */
export function claimPort(place: Place): void {
  if (place.port === 0) return;
  openPort(place, () => {
    const { host: hostname, port } = place;
    Bun.listen({ hostname, port, socket: { data: () => undefined } }).stop(true);
  });
}

function explain({ host, port, names }: Place, error: unknown): string {
  if (!(error instanceof Error)) throw error;
  const code = "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    return `${names.port}: port ${port} of ${host} is taken, perhaps by another hop; stop that or write another port`;
  }
  if (code === "EACCES") {
    return `${names.port}: port ${port} may only be opened by root; write one above 1023`;
  }
  if (code === "EADDRNOTAVAIL")
    return `${names.host}: ${host} is not an address of this machine; write one that is`;
  return `${names.port}: port ${port} of ${host} cannot be opened (${error.message}); write another one`;
}
