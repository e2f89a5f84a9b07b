// Where a link may lead: reads a URL that a person or a program typed into the one form hop stores and redirects to.

import { AppError, invalid } from "../lib/errors.ts";

/** Longest target in characters, counted as it was given and as it is stored. */
export const MAX_TARGET_LENGTH = 4096;

// Checked apart from the rest, because a sloppy paste is the commonest mistake and has its own remedy.
const EDGE_SPACE = /^[\s\p{Cc}\u200b-\u200f\u2060\ufeff]|[\s\p{Cc}\u200b-\u200f\u2060\ufeff]$/u;
// C0, DEL and C1. The URL parser drops tabs and line breaks in silence.
const CONTROL = /\p{Cc}/u;
// Without the u flag, which would let the long s of "http\u017f://" pass for an s.
const SCHEME = /^https?:\/\//i;
// Zero-width characters, soft hyphens, variation selectors, bidi overrides and isolates: IDNA drops some of them
// in silence, so the host a person saw would not be the host that is stored.
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]/u;
const HOST_LABELS = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/u;
const MAX_HOST_LENGTH = 253;
// What a Location header may carry without quoting: the last line of defence against header injection.
const STORED_FORM = /^https?:\/\/[\u0021-\u007e]+$/u;

/**
 * Reads a link's target and answers its stored form: the ASCII serialisation of the WHATWG URL Standard, with an
 * international host in punycode. The result is safe in a Location header and parses to itself.
 *
 * @param ownHosts hosts that are hop itself, as `URL.host` writes them: `host` or `host:port`, lower-case, ASCII,
 *   without a trailing dot. Ports 80, 443 and none are one place, because servers commonly forward between them.
 * @throws AppError INVALID on `url`, with a message that says how to mend the target.
 */
export function parseTarget(raw: string, ownHosts: ReadonlySet<string>): string {
  const authority = readAuthority(raw);
  checkAuthority(authority);

  const url = URL.parse(raw);
  if (url === null) {
    throw bad(
      "is not a valid URL; check the spelling of the host name and that the port is a number up to 65535",
    );
  }
  const host = url.hostname.endsWith(".") ? url.hostname.slice(0, -1) : url.hostname;
  checkHost(host);
  if (isOwn(host, url.port, ownHosts)) {
    throw bad("leads back to this service, which would redirect in circles; give the final address instead");
  }
  if (url.href.length > MAX_TARGET_LENGTH) {
    throw bad(
      `is ${url.href.length} characters long once its special characters are encoded; ` +
        `shorten it to ${MAX_TARGET_LENGTH} or fewer`,
    );
  }
  if (!STORED_FORM.test(url.href)) {
    throw bad("cannot be written in plain ASCII; percent-encode its special characters");
  }
  return url.href;
}

/** Checks the text as a whole and answers what stands between `//` and the path. */
function readAuthority(raw: string): string {
  if (raw === "") {
    throw bad("is empty; give an address that begins with http:// or https://");
  }
  if (raw.length > MAX_TARGET_LENGTH) {
    throw bad(`is ${raw.length} characters long; shorten it to ${MAX_TARGET_LENGTH} or fewer`);
  }
  if (EDGE_SPACE.test(raw)) {
    throw bad("begins or ends with a space, a line break or another invisible character; remove it");
  }
  if (CONTROL.test(raw)) {
    throw bad(
      "contains a control character such as a line break, a tab or NUL; remove it or percent-encode it",
    );
  }
  if (!raw.isWellFormed()) {
    throw bad("contains half a character (a lone surrogate); send it as valid Unicode or percent-encode it");
  }
  const scheme = SCHEME.exec(raw);
  if (scheme === null) {
    throw bad("must be absolute: begin with http:// or https:// and name a host");
  }
  const rest = raw.slice(scheme[0].length);
  const end = rest.search(/[/?#]/u);
  return end === -1 ? rest : rest.slice(0, end);
}

/** Refuses what different parsers would read as different hosts; the URL parser itself would mend it in silence. */
function checkAuthority(authority: string): void {
  if (authority === "") {
    throw bad("has no host after the //; name one, as in https://example.com/");
  }
  if (authority.includes("\\")) {
    throw bad("has a backslash in its host part, which browsers read as a slash; use / or remove it");
  }
  if (authority.includes("@")) {
    throw bad("must not carry a user name or a password; remove everything up to the @");
  }
  if (authority.includes("%")) {
    throw bad("has a percent sign in its host; write the host name itself");
  }
  if (INVISIBLE.test(authority)) {
    throw bad(
      "has an invisible or text-direction character in its host; remove it or give the host's xn-- form",
    );
  }
}

/** `host` as `URL.hostname` has it, a trailing dot apart. */
function checkHost(host: string): void {
  if (host.startsWith("[")) {
    return;
  }
  if (host.length > MAX_HOST_LENGTH || !HOST_LABELS.test(host)) {
    throw bad(
      "has a host that is no host name; use labels of 1-63 letters, digits, - or _ " +
        `between single dots, ${MAX_HOST_LENGTH} characters in all`,
    );
  }
}

function isOwn(host: string, port: string, ownHosts: ReadonlySet<string>): boolean {
  if (port === "" || port === "80" || port === "443") {
    return ownHosts.has(host) || ownHosts.has(`${host}:80`) || ownHosts.has(`${host}:443`);
  }
  return ownHosts.has(`${host}:${port}`);
}

function bad(message: string): AppError {
  return invalid("url", message);
}
