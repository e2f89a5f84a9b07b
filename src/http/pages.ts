// The few pages hop shows to people, as HTML without scripts.
import type { Problem } from "./problem.ts";
import { problemHeaders } from "./problem.ts";
import { PAGE_HEADERS } from "./security-headers.ts";

/** What a preview tells about a link before anyone follows it. */
export interface Preview {
  readonly shortUrl: string;
  readonly target: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
}

const STYLE = `:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#f7f6f2;--card:#fff;--line:#dfdcd3;--go:#0b6e4f}
@media(prefers-color-scheme:dark){:root{--ink:#e9ebee;--soft:#9aa5b1;--paper:#14181d;--card:#1c2229;--line:#303842;--go:#5fd0a5}}
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);
color:var(--ink);font:1.05rem/1.55 system-ui,sans-serif}main{width:min(38rem,100%);background:var(--card);border:1px solid var(--line);
border-radius:14px;padding:2rem 2.25rem}h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25}p{margin:.4rem 0;color:var(--soft)}
.target{display:block;margin:1rem 0;padding:.8rem 1rem;border:1px solid var(--line);border-radius:9px;color:var(--ink);
overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.95rem}a{color:var(--go)}
.go{display:inline-block;margin:.4rem 0 .8rem;padding:.55rem 1.3rem;border-radius:9px;background:var(--go);color:var(--card);text-decoration:none;font-weight:600}
small{color:var(--soft)}code{font-family:ui-monospace,monospace}`;

const STYLE_HASH = new Bun.CryptoHasher("sha256").update(STYLE).digest("base64");

/** Nothing may run or load but the page's own style; the page may not be framed. */
const SECURITY_HEADERS = {
  "Content-Security-Policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  ...PAGE_HEADERS,
  "X-Robots-Tag": "noindex",
};

const PROBLEM_TEXT: Partial<Record<Problem["code"], readonly [string, string]>> = {
  LINK_NOT_FOUND: [
    "This link does not exist",
    "Check the address for a typing error: upper and lower case differ.",
  ],
  LINK_GONE: [
    "This link has ended",
    "Its owner deleted it, or its time is over. The address is not given to anyone else.",
  ],
  RATE_LIMITED: [
    "Too many wrong addresses",
    "Your network has asked for many links that do not exist. Links that do exist still work; please check the address, or try again in a minute.",
  ],
  TEMPORARILY_UNAVAILABLE: [
    "This link cannot be looked up right now",
    "Nothing is wrong with the link. Please try again in a moment.",
  ],
};

/** The page for a failed redirect. */
export function problemPage(
  problem: Problem,
  requestId: string,
  extra: Readonly<Record<string, string>> = {},
): Response {
  const [heading, advice] = PROBLEM_TEXT[problem.code] ?? [problem.title, problem.detail ?? ""];
  const body = `<h1>${escape(heading)}</h1><p>${escape(advice)}</p><p><small>Request ${escape(requestId)}</small></p>`;
  return page(heading, body, problem.status, { ...problemHeaders(problem, requestId), ...extra });
}

/** Where a link goes, without going there. */
export function previewPage(
  preview: Preview,
  requestId: string,
  extra: Readonly<Record<string, string>>,
): Response {
  const expiry = preview.expiresAt === null ? "" : ` It ends on ${day(preview.expiresAt)}.`;
  const body = `<h1>Where this link goes</h1><p><code>${escape(preview.shortUrl)}</code> leads to</p>
<span class="target">${escape(preview.target)}</span>
<a class="go" rel="nofollow noreferrer" href="${escape(preview.target)}">Go there</a>
<p><small>Made on ${day(preview.createdAt)}.${expiry} Looking at this page is not counted as a click.</small></p>`;
  const headers = { "Cache-Control": "no-store", "X-Request-Id": requestId, ...extra };
  return page("Where this link goes", body, 200, headers);
}

export function homePage(requestId: string): Response {
  const body = `<h1>hop is running</h1><p>This host serves short links.</p>
<p>Links are made through the <a href="/api/docs">API</a>. Put a <code>+</code> behind any short link to see where it goes.</p>`;
  return page("hop", body, 200, { "Cache-Control": "no-store", "X-Request-Id": requestId });
}

function page(title: string, body: string, status: number, headers: Record<string, string>): Response {
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escape(title)}</title><style>${STYLE}</style></head><body><main>${body}</main></body></html>`;
  return new Response(html, {
    status,
    headers: { "Content-Type": "text/html; charset=utf-8", ...SECURITY_HEADERS, ...headers },
  });
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
