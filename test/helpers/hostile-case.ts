// What a hostile request is, and short ways to write one down.
import { ADMIN_KEY } from "./hop-process.ts";
import type { RawRequest } from "./raw-http.ts";

/** What has to come back: the status, the `code` of a problem document, and a field its `errors` must name. */
export type Expected = readonly [status: number, code?: string, field?: string];

export interface HostileCase {
  readonly name: string;
  readonly request: RawRequest;
  readonly expected: Expected;
}

/** Stands for the port of the hop under test, which is not known before it runs. */
export const OWN_PORT = "__PORT__";

/** A link that exists, and one that was deleted, in the hop that is asked. */
export const KNOWN_CODE = "known";
export const DELETED_CODE = "deleted";

export const AUTHORISED: readonly [string, string] = ["Authorization", `Bearer ${ADMIN_KEY}`];
export const AS_JSON: readonly [string, string] = ["Content-Type", "application/json"];
export const GOOD_URL = "https://example.com/";
const LINKS = "/api/v1/links";

/** A create whose body is given as it stands. */
export function postText(name: string, body: string | Uint8Array, ...expected: Expected): HostileCase {
  return { name, request: { method: "POST", path: LINKS, headers: [AUTHORISED, AS_JSON], body }, expected };
}

/** A create that is good but for the fields given. */
export function post(name: string, fields: Record<string, unknown>, ...expected: Expected): HostileCase {
  return postText(name, JSON.stringify({ url: GOOD_URL, ...fields }), ...expected);
}

/** A create with one field set to each value; all are refused for that field. */
export function refuses(field: string, values: readonly unknown[]): HostileCase[] {
  return values.map((value) => post(`${field} ${shown(value)}`, { [field]: value }, 422, "INVALID", field));
}

/** A create with one field set to each value; all are accepted. */
export function accepts(field: string, values: readonly unknown[]): HostileCase[] {
  return values.map((value) => post(`${field} ${shown(value)}, which is fine`, { [field]: value }, 201));
}

/** A good create with these headers instead of the usual ones. */
export function postWith(
  name: string,
  headers: readonly (readonly [string, string])[],
  ...expected: Expected
): HostileCase {
  const body = JSON.stringify({ url: GOOD_URL });
  return { name, request: { method: "POST", path: LINKS, headers, body }, expected };
}

/** A GET of an API path with the admin key. */
export function get(path: string, ...expected: Expected): HostileCase {
  return { name: `GET ${shown(path)}`, request: { path, headers: [AUTHORISED] }, expected };
}

/** A value on one short line of plain ASCII. */
export function shown(value: unknown): string {
  const text = (JSON.stringify(value) ?? "undefined").replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return text.length > 70 ? `${text.slice(0, 50)}… (${text.length} characters)` : text;
}
