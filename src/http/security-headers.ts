// Headers that keep browsers from doing with an answer what it was not made for.

const YEAR_SECONDS = 31_536_000;

/** What every answer but a redirect has, whatever it is. */
export const ALWAYS: Readonly<Record<string, string>> = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/** For answers that bring no policy of their own: JSON and text, in which nothing may run, load or be framed. */
export const DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** For pages: no access to what a browser could offer. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  ...ALWAYS,
  "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  "Cross-Origin-Opener-Policy": "same-origin",
};

/** HSTS (RFC 6797), when short URLs begin with https. Only for this host: what others of the domain do is not known here. */
export function transportHeaders(baseUrl: string): Readonly<Record<string, string>> {
  if (!baseUrl.startsWith("https://")) return {};
  return { "Strict-Transport-Security": `max-age=${YEAR_SECONDS}` };
}
