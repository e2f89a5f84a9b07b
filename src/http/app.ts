// Everything but the redirect: the route table and the order of middleware, on one screen.
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Authenticator } from "../keys/authenticate.ts";
import type { ApiKey } from "../keys/key.ts";
import { AppError } from "../lib/errors.ts";
import { isCode } from "../links/code.ts";
import { type BodyBounds, readJson } from "./body.ts";
import { docsRoutes } from "./docs.ts";
import { type Endpoint, parse } from "./endpoint.ts";
import type { Health } from "./health.ts";
import { limitInFlight } from "./in-flight.ts";
import { homePage, problemPage } from "./pages.ts";
import { describeProblem, problemResponse } from "./problem.ts";
import type { RateLimits, Verdict } from "./rate-limit.ts";
import { wantsHtml } from "./refusal.ts";
import { ALWAYS, DATA_POLICY } from "./security-headers.ts";

export interface AppOptions {
  readonly endpoints: readonly Endpoint[];
  readonly openApi: object;
  readonly authenticator: Authenticator;
  readonly bodyBounds: BodyBounds;
  readonly health: Health;
  readonly limits: RateLimits;
  /** API requests that are answered at once; more are refused. */
  readonly maxInFlight: number;
  /** For every answer, such as Strict-Transport-Security. */
  readonly headers: Readonly<Record<string, string>>;
  readonly onRequest: (route: string, method: string, status: number, seconds: number) => void;
  readonly onBug: (error: unknown, requestId: string) => void;
}

/** What server.ts hands to each request. */
export interface AppContext {
  readonly requestId: string;
  readonly clientIp: string;
}

interface AppTypes {
  readonly Bindings: AppContext;
  readonly Variables: {
    /** What rate limits say to this request, for the head of its answer. */
    limits?: Readonly<Record<string, string>>;
  };
}

type App = Hono<AppTypes>;
type AppRequest = Context<AppTypes>;

export function createApp(options: AppOptions): App {
  const app: App = new Hono<AppTypes>();
  app.use(async (c, next) => {
    const startedAtMs = performance.now();
    await next();
    c.header("X-Request-Id", c.env.requestId);
    for (const [name, value] of Object.entries({ ...ALWAYS, ...options.headers, ...c.get("limits") })) {
      c.header(name, value);
    }
    if (!c.res.headers.has("Content-Security-Policy")) c.header("Content-Security-Policy", DATA_POLICY);
    const route = c.req.routePath.endsWith("*") ? "other" : c.req.routePath;
    options.onRequest(route, c.req.method, c.res.status, (performance.now() - startedAtMs) / 1_000);
  });
  app.get("/", (c) => homePage(c.env.requestId));
  app.get("/robots.txt", (c) => c.text("User-agent: *\nDisallow: /\n"));
  app.get("/livez", () => options.health.live());
  app.get("/readyz", () => options.health.ready());
  app.route("/api", docsRoutes(options.openApi));
  app.use("/api/v1/*", limitInFlight(options.maxInFlight));
  for (const endpoint of options.endpoints) mount(app, endpoint, options);
  for (const [path, allowed] of allowedMethods(options.endpoints)) {
    app.all(path, (c) => {
      const error = new AppError(
        "METHOD_NOT_ALLOWED",
        `${c.req.method} is not allowed here; use ${allowed}.`,
      );
      return problemResponse(error, c.env.requestId, { Allow: allowed });
    });
  }
  app.notFound((c) => {
    const error = new AppError(
      "NOT_FOUND",
      "There is nothing at this address; the API is described at /api/docs.",
    );
    if (wantsHtml(c.req.raw)) return problemPage(describeProblem(error), c.env.requestId);
    return problemResponse(error, c.env.requestId);
  });
  app.onError((error, c) => {
    if (!(error instanceof AppError)) options.onBug(error, c.env.requestId);
    return problemResponse(error, c.env.requestId);
  });
  return app;
}

/** First who is asking, then what; a stranger learns nothing about the shape of requests. */
function mount(app: App, endpoint: Endpoint, { authenticator, limits, bodyBounds }: AppOptions): void {
  app.on(endpoint.method, endpoint.path, async (c) => {
    const request = c.req.raw;
    const key = await authenticate(c, endpoint, authenticator, limits);
    if (endpoint.method !== "GET") obey(c, await limits.countWrite(key.id, c.env.clientIp));
    const code = readCode(c.req.param("code"));
    const query = parse(endpoint.query ?? NO_QUERY, readQuery(c.req.queries()));
    const body = endpoint.body && parse(endpoint.body, await readJson(request, bodyBounds));
    const answer = await endpoint.handle({ code, query, body, headers: request.headers, key });
    if (answer.body === undefined) return new Response(null, { status: answer.status });
    return Response.json(answer.body, {
      status: answer.status,
      headers: { "Cache-Control": "no-store", ...answer.headers },
    });
  });
}

/** A key that is valid is never refused for what others at its address do: a key of 256 bits is not guessed. */
async function authenticate(
  c: AppRequest,
  { scope }: Endpoint,
  authenticator: Authenticator,
  limits: RateLimits,
): Promise<ApiKey> {
  try {
    return await authenticator.check(c.req.raw.headers.get("authorization"), scope);
  } catch (error) {
    if (error instanceof AppError && error.code === "UNAUTHENTICATED") {
      obey(c, await limits.countFailure(c.env.clientIp));
    }
    throw error;
  }
}

/** @throws RATE_LIMITED */
function obey(c: AppRequest, { headers, refusal }: Verdict): void {
  c.set("limits", headers);
  if (refusal !== undefined) throw refusal;
}

/** What cannot be a code belongs to no link; Postgres could not even be asked about NUL. */
function readCode(text = ""): string {
  if (text === "" || isCode(text)) return text;
  throw new AppError("LINK_NOT_FOUND", "There is no link with this code.");
}

const NO_QUERY = z.strictObject({});

/** One value per name. A name given twice becomes a list, which every schema refuses by name. */
function readQuery(queries: Record<string, string[]>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(queries).map(([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : values]),
  );
}

function allowedMethods(endpoints: readonly Endpoint[]): Map<string, string> {
  const methods = new Map<string, string>();
  for (const { path, method } of endpoints) {
    const known = methods.get(path);
    methods.set(path, known === undefined ? method : `${known}, ${method}`);
  }
  return methods;
}
