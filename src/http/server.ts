// The listeners: on the public one a short link is answered first and by hand, everything else goes to the app.
import type { Server, SocketAddress } from "bun";
import { AppError } from "../lib/errors.ts";
import type { Asked } from "../lib/headers.ts";
import { isCode, isReserved } from "../links/code.ts";
import type { createApp } from "./app.ts";
import { clientIp, type TrustedProxies } from "./client-address.ts";
import { FastPath } from "./fast-path.ts";
import type { Health } from "./health.ts";
import { GENERAL_HOST, type Peers } from "./passage.ts";
import { claimPort, openPort, type Place } from "./port.ts";
import type { Preview } from "./preview.ts";
import { problemResponse } from "./problem.ts";
import { type Redirect, type Redirected, redirectResponse } from "./redirect.ts";

export interface ServerOptions {
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
  /** A connection is kept for this long without a byte, and closed a few seconds later at the most. */
  readonly idleTimeoutSeconds: number;
  /** The largest body that is read at all; what endpoints accept is smaller. */
  readonly maxBodyBytes: number;
  readonly redirect: Redirect;
  readonly preview: Preview;
  readonly app: Pick<ReturnType<typeof createApp>, "fetch">;
  readonly trustedProxies: TrustedProxies;
  /** Whether other processes listen on the port too: the first of them claims it, the others join. */
  readonly sharing: Sharing;
  /** An error that should not be, outside of any answer. */
  readonly onBug: (error: unknown) => void;
  /** True from when on answers say that their connection ends. */
  readonly departing: () => boolean;
  readonly fastPath: "on" | "off";
  /** See FastPath. */
  readonly maxWaitingBytes: number;
  readonly firstRequestMs: number;
}

/** Bun looks for silent connections this often, and closes one up to this much before its idle timeout. */
const BUN_TICK_SECONDS = 4;

export type Sharing = "alone" | "claims" | "joins";

/** What a listener is to whoever opened it. */
export interface Listener {
  readonly port: number;
  /** Closes the listener and idle connections; resolves when what is in flight is answered. */
  stop(now?: boolean): Promise<void>;
}

/** @throws when the port is taken or the host is not this machine's. */
export function listen(options: ServerOptions): Listener {
  const { redirect, preview, app, trustedProxies, departing } = options;
  const newRequestId = requestIds();
  const place = placeOf(options, { host: "HOP_HOST", port: "HOP_PORT" });
  const reusePort = options.sharing !== "alone";
  if (options.sharing === "claims") claimPort(place);
  if (options.fastPath === "off") {
    const server = openPort(place, () => openGeneral({ host: options.host, port: options.port, reusePort }));
    return { port: server.port ?? options.port, stop: (now) => server.stop(now) };
  }

  const peers: Peers = new Map();
  // First the port that may be taken; whoever connects there is heard later.
  const fast = openPort(
    place,
    () =>
      new FastPath({
        ...options,
        reusePort,
        generalServer: { port: () => general.port ?? 0, peers, stop: (now) => general.stop(now) },
        answer: (request, address) =>
          redirect(request, request.code, clientOf(request, address, trustedProxies), newRequestId()),
      }),
  );
  const general = openGeneral({ host: GENERAL_HOST, port: 0, reusePort: false, peers });
  return { port: fast.port, stop: (now) => fast.stop(now) };

  /** Answers everything. @param peers who is behind connections that were passed on */
  function openGeneral(at: {
    host: string;
    port: number;
    reusePort: boolean;
    peers?: Peers;
  }): Server<undefined> {
    const idleTimeout = options.idleTimeoutSeconds + BUN_TICK_SECONDS;
    return Bun.serve({
      hostname: at.host,
      port: at.port,
      reusePort: at.reusePort,
      idleTimeout,
      maxRequestBodySize: options.maxBodyBytes,
      development: false,
      fetch: (request, server) => {
        const client = addressOf(server.requestIP(request), at.peers);
        const answered = answer(request, clientOf(request, client, trustedProxies));
        if (!(answered instanceof Promise)) return send(answered);
        // To Bun a client that waits for its answer is silent; how long an answer may take has bounds of its own.
        server.timeout(request, 0);
        return answered.then((known) => {
          server.timeout(request, idleTimeout);
          return send(known);
        });
      },
    });
  }

  function answer(request: Request, client: string): ReturnType<Redirect> {
    const requestId = newRequestId();
    const path = pathOf(request.url);
    const isPreview = path.endsWith("+");
    const code = isPreview ? path.slice(0, -1) : path;
    if (!isCode(code) || isReserved(code))
      return app.fetch(withOrigin(request), { requestId, clientIp: client });
    if (request.method !== "GET" && request.method !== "HEAD") return methodNotAllowed(request, requestId);
    if (isPreview) return preview(request, code, client, requestId);
    return redirect(request, code, client, requestId);
  }

  /** The question is whether the departure has begun when the answer leaves, not when its request came. */
  function send(answer: Redirected | Response): Response {
    const response = answer instanceof Response ? answer : redirectResponse(answer);
    if (departing()) response.headers.set("Connection", "close");
    return response;
  }
}

function placeOf({ host, port }: { host: string; port: number }, names: Place["names"]): Place {
  return { host, port, names };
}

/** Health and metrics, for operators only. */
export function listenAdmin(options: {
  host: string;
  port: number;
  /** The variable that the port comes from. */
  portName: string;
  health: Pick<Health, "live" | "ready">;
  metrics: () => Promise<{ body: string; contentType: string }>;
}): Server<undefined> {
  const { health, metrics } = options;
  const newRequestId = requestIds();
  return openPort(placeOf(options, { host: "HOP_ADMIN_HOST", port: options.portName }), () =>
    Bun.serve({
      hostname: options.host,
      port: options.port,
      development: false,
      async fetch(request) {
        const response = await answer(pathOf(request.url));
        response.headers.set("X-Request-Id", newRequestId());
        return response;
      },
    }),
  );

  async function answer(path: string): Promise<Response> {
    if (path === "livez") return health.live();
    if (path === "readyz") return health.ready();
    if (path !== "metrics") return new Response("Here are /metrics, /livez and /readyz.\n", { status: 404 });
    const { body, contentType } = await metrics();
    return new Response(body, { headers: { "Content-Type": contentType } });
  }
}

/** Whoever calls from another address of this machine is no connection that was passed on, though its port may be the same. */
function addressOf(caller: SocketAddress | null, peers: Peers | undefined): string {
  if (caller === null) return "";
  const peer = caller.address === GENERAL_HOST ? peers?.get(caller.port) : undefined;
  return peer ?? caller.address;
}

/** The kernel spells IPv4 canonically, and where nobody is trusted no header has to be read: 0.2 us fewer a redirect. */
function clientOf(request: Asked, address: string, trustedProxies: TrustedProxies): string {
  if (trustedProxies.isEmpty && !address.includes(":")) return address;
  return clientIp(address, request.headers.get("x-forwarded-for"), trustedProxies);
}

/** Between the first slash after the host and the query. `new URL` would cost 1 µs and decode what must not be decoded. */
function pathOf(url: string): string {
  const start = url.startsWith("/") ? 1 : url.indexOf("/", url.indexOf("://") + 3) + 1;
  const query = url.indexOf("?", start);
  return query === -1 ? url.slice(start) : url.slice(start, query);
}

/** HTTP/1.0 needs no Host, and probes of load balancers send none: then the URL is a bare path, which the app cannot read. */
function withOrigin(request: Request): Request {
  return request.url.startsWith("/") ? new Request(`http://localhost${request.url}`, request) : request;
}

/** Unique in time and between processes: a random start, then a count. */
function requestIds(): () => string {
  const prefix = crypto.getRandomValues(Buffer.alloc(6)).toString("hex");
  let count = 0;
  return () => `${prefix}-${(count++).toString(36)}`;
}

function methodNotAllowed(request: Request, requestId: string): Response {
  const error = new AppError("METHOD_NOT_ALLOWED", `A short link takes GET and HEAD, not ${request.method}.`);
  return problemResponse(error, requestId, { Allow: "GET, HEAD" });
}
