// The OpenAPI document and a page to try it, served from this host alone.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Hono } from "hono";
import { PAGE_HEADERS } from "./security-headers.ts";

const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));

/** The viewer's own files; nothing else of its package is served. */
const ASSETS: Record<string, string> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
};

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>hop API</title><link rel="stylesheet" href="/api/docs/swagger-ui.css"></head>
<body><div id="viewer"></div><script src="/api/docs/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script></body></html>`;

const START = `SwaggerUIBundle({ url: "/api/openapi.json", dom_id: "#viewer", persistAuthorization: false, tryItOutEnabled: true });`;

/** The viewer sets styles from its script and draws its icons from data URLs. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function docsRoutes(openApi: object): Hono {
  const document = JSON.stringify(openApi, undefined, 2);
  const routes = new Hono();
  routes.get("/openapi.json", () => file(document, "application/json"));
  routes.get("/docs", () =>
    file(PAGE, "text/html; charset=utf-8", { ...PAGE_HEADERS, "Content-Security-Policy": POLICY }),
  );
  routes.get("/docs/start.js", () => file(START, "text/javascript; charset=utf-8"));
  for (const [name, type] of Object.entries(ASSETS)) {
    routes.get(`/docs/${name}`, () =>
      file(Bun.file(join(SWAGGER_UI, name)), type, { "Cache-Control": "public, max-age=3600" }),
    );
  }
  return routes;
}

function file(body: string | Blob, type: string, headers: Record<string, string> = {}): Response {
  return new Response(body, { headers: { "Content-Type": type, "Cache-Control": "no-cache", ...headers } });
}
