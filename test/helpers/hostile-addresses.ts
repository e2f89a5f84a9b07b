// Hostile addresses: cursors, query parameters, and tricks with paths.
import {
  AUTHORISED,
  DELETED_CODE,
  type Expected,
  get,
  type HostileCase,
  KNOWN_CODE,
  shown,
} from "./hostile-case.ts";

const LINKS = "/api/v1/links";
const STATS = `${LINKS}/${KNOWN_CODE}/stats`;

/** A GET whose query is refused for one parameter; the query stands in the address as it is. */
function refusesQuery(path: string, field: string, queries: readonly string[]): HostileCase[] {
  return queries.map((query) => get(`${path}?${query}`, 422, "INVALID", field));
}

function acceptsQuery(path: string, queries: readonly string[]): HostileCase[] {
  return queries.map((query) => get(`${path}?${query}`, 200));
}

const FORGED: readonly string[] = [
  "",
  "before:",
  "before:0",
  "before:-1",
  "before:1.5",
  "before:1e3",
  "before:0x10",
  "before: 1",
  "before:1\n",
  "before:01",
  "before:9007199254740992",
  "before:9007199254740993",
  "before:99999999999999999999",
  "before:NaN",
  "before:Infinity",
  "before:1 OR 1=1",
  "before:1; DROP TABLE links; --",
  "before:\u0661",
  "BEFORE:1",
  "after:1",
  "\0",
];

const cursorOf = (text: string) => Buffer.from(text).toString("base64url");

const LIST_CASES: readonly HostileCase[] = [
  ...FORGED.map((text) => ({
    ...get(`${LINKS}?cursor=${cursorOf(text)}`, 422, "INVALID", "cursor"),
    name: `a cursor that holds ${shown(text)}`,
  })),
  ...refusesQuery(LINKS, "cursor", ["cursor=1", "cursor=%00", "cursor='%20OR%201=1--", "cursor=%ff"]),
  ...refusesQuery(LINKS, "cursor", [`cursor=${"A".repeat(101)}`, "cursor=Y&cursor=Y"]),
  ...acceptsQuery(LINKS, [`cursor=${cursorOf("before:9007199254740991")}`, `cursor=${cursorOf("before:1")}`]),
  ...refusesQuery(LINKS, "limit", ["limit=0", "limit=-1", "limit=1e2", "limit=0x10", "limit=", "limit=201"]),
  ...refusesQuery(LINKS, "limit", ["limit=1.5", "limit=%205", "limit=%2B5", "limit=5%00", "limit=NaN"]),
  ...refusesQuery(LINKS, "limit", ["limit=%EF%BC%95", "limit=99999999999999999999", "limit=1&limit=2"]),
  ...refusesQuery(LINKS, "limit", ["limit=1;DROP%20TABLE%20links", "limit=1%20OFFSET%205", "limit=null"]),
  ...refusesQuery(LINKS, "limit[]", ["limit[]=1"]),
  ...refusesQuery(LINKS, "Limit", ["Limit=1"]),
  ...refusesQuery(LINKS, "offset", ["offset=1", "offset"]),
  ...refusesQuery(LINKS, "constructor", ["constructor=1"]),
  ...refusesQuery(LINKS, "q", ["q=%00", "q=a%00b", "q=%0a", "q=%C2%85", `q=${"x".repeat(201)}`, "q=a&q=b"]),
  ...refusesQuery(LINKS, "tag", ["tag=%00", "tag=%0d%0a", `tag=${"x".repeat(51)}`, "tag=a&tag=a"]),
  ...acceptsQuery(LINKS, ["", "&&&", "q=", "q=%", "q=%zz", "q=%ff", "q=%ed%a0%80", "q=%E2%82", "tag="]),
  ...acceptsQuery(LINKS, [
    "q=%25",
    "q=_",
    "q=%5C",
    "q=%25%5C%25%5C",
    "q='%20OR%20''='",
    "q=$1",
    "q=%F0%9F%92%A9",
  ]),
  ...acceptsQuery(LINKS, ["tag={}", "tag=%22", "tag=%5C", "tag=NULL", "tag=a,b", "tag='--", "tag=%22,%22"]),
  ...acceptsQuery(LINKS, [`q=${"%25".repeat(200)}`, `q=${"_%25".repeat(100)}`, `q=${"%5C".repeat(200)}`]),
];

const STATS_CASES: readonly HostileCase[] = [
  ...refusesQuery(STATS, "from", ["from=2030-01-02T00:00:00Z&to=2030-01-01T00:00:00Z", "from=%00", "from="]),
  ...refusesQuery(STATS, "from", [
    "from=2030-01-01T00:00:00Z&to=2030-01-01T00:00:00Z",
    "from=2030-02-30T00:00:00Z",
  ]),
  ...refusesQuery(STATS, "from", [
    "from=2030-01-01",
    "from=0",
    "from=0000-01-01T00:00:00Z",
    "from=yesterday",
  ]),
  ...refusesQuery(STATS, "from", [
    "from=1969-12-31T00:00:00Z",
    "from=2020-01-01T00:00:00Z&from=2020-01-02T00:00:00Z",
  ]),
  ...refusesQuery(STATS, "from", ["from=9999-12-31T23:59:59-23:59"]),
  ...refusesQuery(STATS, "to", ["to=9999-12-31T23:59:59-23:59", "to=+010000-01-01T00:00:00Z", "to=now()"]),
  ...refusesQuery(STATS, "to", ["to=9999-12-31T23:59:59Z", "to=9999-12-02T00:00:00Z&interval=month"]),
  ...refusesQuery(STATS, "to", ["to=2030-01-01T00:00:00+01:00", "to=2030-01-01T00:00:00Z'--"]),
  ...refusesQuery(STATS, "interval", [
    "interval=hour&from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z",
    "interval=day&from=1970-01-01T00:00:00Z&to=9999-01-01T00:00:00Z",
    "interval=month&from=1970-01-01T00:00:00Z&to=9999-12-01T00:00:00Z",
    "interval=week",
    "interval=",
    "interval=DAY",
    "interval=day'--",
    "interval=day&interval=hour",
    "interval=constructor",
  ]),
  ...refusesQuery(STATS, "by", [
    "by=ip",
    "by=visitor",
    "by=link_id",
    "by=",
    "by=country,browser",
    "by=__proto__",
  ]),
  ...refusesQuery(STATS, "by", ["by=country;DROP%20TABLE%20clicks", "by=(SELECT%201)", "by=%22country%22"]),
  ...refusesQuery(STATS, "bots", ["bots=yes", "bots=", "bots=true", "bots=only%00", "bots='%20OR%201=1--"]),
  ...refusesQuery(STATS, "limit", ["limit=1"]),
  ...acceptsQuery(STATS, [
    "to=9999-12-31T00:00:00Z",
    "to=1970-01-01T00:00:00Z",
    "from=1970-01-01T00:00:00%2B23:59&to=1970-01-02T00:00:00Z",
  ]),
  get(`${LINKS}/unknown/stats`, 404, "LINK_NOT_FOUND"),
  get(`${LINKS}/${DELETED_CODE}/stats`, 200),
  get(`${LINKS}/%00/stats`, 404, "LINK_NOT_FOUND"),
  get(`${LINKS}/%ed%a0%80/stats`, 404, "LINK_NOT_FOUND"),
];

const NO_LINK: readonly string[] = [
  "%00",
  "a%00b",
  "%ff",
  "%ed%a0%80",
  "a%2Fb",
  "a%2e",
  "a%20b",
  "%0d%0aX:%20y",
];

const API_PATH_CASES: readonly HostileCase[] = [
  ...NO_LINK.map((code) => get(`${LINKS}/${code}`, 404, "LINK_NOT_FOUND")),
  get(`${LINKS}/'%20OR%201=1--`, 404, "LINK_NOT_FOUND"),
  get(`${LINKS}/%`, 404, "LINK_NOT_FOUND"),
  get(`${LINKS}/%zz`, 404, "LINK_NOT_FOUND"),
  get(`${LINKS}/KNOWN`, 404, "LINK_NOT_FOUND"),
  get(`${LINKS}/${"x".repeat(5_000)}`, 404, "LINK_NOT_FOUND"),
  get(`${LINKS}/${DELETED_CODE}`, 410, "LINK_GONE"),
  get(`${LINKS}/`, 404, "NOT_FOUND"),
  get(`${LINKS}/%2e`, 404, "NOT_FOUND"),
  get(`${LINKS}//`, 404, "NOT_FOUND"),
  get(`${LINKS}/a/b`, 404, "NOT_FOUND"),
  get(`/${LINKS}`, 404, "NOT_FOUND"),
  get("/API/v1/links", 404, "NOT_FOUND"),
  get("/api/v2/links", 404, "NOT_FOUND"),
  get("/api", 404, "NOT_FOUND"),
  get("/api/docs/package.json", 404, "NOT_FOUND"),
  get("/api/docs/..%2f..%2fpackage.json", 404, "NOT_FOUND"),
  get("/api/docs/%2e%2e/%2e%2e/package.json", 404, "NOT_FOUND"),
  ...["%00", "%ff", "a%2Fb"].flatMap((code) => [
    change("DELETE", code, undefined, 404, "LINK_NOT_FOUND"),
    change("PATCH", code, '{"title":"x"}', 404, "LINK_NOT_FOUND"),
  ]),
  change("PATCH", KNOWN_CODE, '{"code":"other"}', 422, "INVALID", "code"),
  change("PATCH", KNOWN_CODE, '{"url":null}', 422, "INVALID", "url"),
  change("PATCH", KNOWN_CODE, '{"tags":null}', 422, "INVALID", "tags"),
  change("PATCH", KNOWN_CODE, '{"status":null}', 422, "INVALID", "status"),
  change("PATCH", KNOWN_CODE, '{"title":"a\\u0000"}', 422, "INVALID", "title"),
  change("PATCH", KNOWN_CODE, '{"expiresAt":"9999-12-31T23:59:59-23:59"}', 422, "INVALID", "expiresAt"),
  change("PATCH", KNOWN_CODE, "[]", 422, "INVALID", "body"),
  change("PATCH", DELETED_CODE, '{"title":"x"}', 410, "LINK_GONE"),
  change("PUT", KNOWN_CODE, "{}", 405, "METHOD_NOT_ALLOWED"),
  change("OPTIONS", KNOWN_CODE, undefined, 405, "METHOD_NOT_ALLOWED"),
];

function change(method: string, code: string, body: string | undefined, ...expected: Expected): HostileCase {
  const headers = [AUTHORISED, ["Content-Type", "application/json"]] as const;
  return {
    name: `${method} of link ${code} ${body ?? ""}`.trim(),
    request: { method, path: `${LINKS}/${code}`, headers, ...(body !== undefined && { body }) },
    expected,
  };
}

const NOTHING_HERE: readonly string[] = [
  "//",
  "///",
  "//evil.example/",
  "/%2e%2e%2f%2e%2e%2fetc/passwd",
  "/a%00b",
  "/%00",
  "/%00+",
  "/%ff",
  "/%E0%A4%A",
  "/%",
  "/a%2fb",
  "/%2F",
  "/\\evil.example",
  `/${KNOWN_CODE}/`,
  `/${KNOWN_CODE}%00`,
  `/${KNOWN_CODE};x`,
  `/${KNOWN_CODE}%2B`,
  `/${KNOWN_CODE}++`,
  `/${KNOWN_CODE}.json`,
  `/%6bnown`,
  "/+",
  `/${"x".repeat(65)}`,
  `/${"x".repeat(8_000)}`,
  "/.env",
  "/.git/config",
  "/wp-login.php",
  "/favicon.ico",
  "/metrics",
  "/login",
  "/..;/",
  "/<script>alert(1)</script>",
  "/\u00e4",
];

const SHORT_PATH_CASES: readonly HostileCase[] = [
  ...NOTHING_HERE.map((path) => get(path, 404, "NOT_FOUND")),
  get("/%2e%2e/", 200),
  get("/unknown", 404, "LINK_NOT_FOUND"),
  get("/unknown+", 404, "LINK_NOT_FOUND"),
  get(`/${"x".repeat(63)}y`, 404, "LINK_NOT_FOUND"),
  get("/valueOf", 404, "LINK_NOT_FOUND"),
  get(`/${DELETED_CODE}`, 410, "LINK_GONE"),
  get(`/${DELETED_CODE}+`, 410, "LINK_GONE"),
  get(`/${KNOWN_CODE}?`, 302),
  get(`/${KNOWN_CODE}?url=https://evil.example/&%00`, 302),
  get(`/${KNOWN_CODE}+?x`, 200),
  ...["POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) => ({
    name: `${method} of a short link`,
    request: { method, path: `/${KNOWN_CODE}` },
    expected: [405, "METHOD_NOT_ALLOWED"] as const,
  })),
];

export const ADDRESS_CASES: readonly HostileCase[] = [
  ...LIST_CASES,
  ...STATS_CASES,
  ...API_PATH_CASES,
  ...SHORT_PATH_CASES,
];
