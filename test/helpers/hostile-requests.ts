// Every hostile request that reaches hop's own code: headers are here, bodies and addresses in their own files.
import { ADDRESS_CASES } from "./hostile-addresses.ts";
import { BODY_CASES } from "./hostile-bodies.ts";
import { AS_JSON, AUTHORISED, type HostileCase, KNOWN_CODE, postWith, shown } from "./hostile-case.ts";
import { ADMIN_KEY } from "./hop-process.ts";

const AUTHORIZATIONS: readonly string[] = [
  "",
  "Bearer",
  "Bearer ",
  "Basic YWRtaW46YWRtaW4=",
  ADMIN_KEY,
  `Token ${ADMIN_KEY}`,
  `Bearer\t${ADMIN_KEY}`,
  `Bearer ${ADMIN_KEY}, Bearer ${ADMIN_KEY}`,
  `Bearer "${ADMIN_KEY}"`,
  `Bearer ${ADMIN_KEY.toUpperCase()}`,
  `Bearer ${ADMIN_KEY}x`,
  `Bearer ${ADMIN_KEY.slice(0, -1)}`,
  "Bearer hop_",
  "Bearer hop_short",
  `Bearer hop_${"x".repeat(32)}`,
  `Bearer hop_${"x".repeat(201)}`,
  `Bearer hop_${"x".repeat(6_000)}`,
  `Bearer hop_${"\u00e9".repeat(40)}`,
  `Bearer hop_' OR '1'='1${"-".repeat(32)}`,
  "Bearer null",
  "Bearer [object Object]",
];

const AUTH_CASES: readonly HostileCase[] = [
  ...AUTHORIZATIONS.map((value) =>
    postWith(`Authorization ${shown(value)}`, [AS_JSON, ["Authorization", value]], 401, "UNAUTHENTICATED"),
  ),
  postWith("no Authorization", [AS_JSON], 401, "UNAUTHENTICATED"),
  postWith("Authorization twice", [AS_JSON, AUTHORISED, AUTHORISED], 401, "UNAUTHENTICATED"),
  postWith("a key in X-Api-Key", [AS_JSON, ["X-Api-Key", ADMIN_KEY]], 401, "UNAUTHENTICATED"),
  postWith("a scheme in lower case, which is fine", [AS_JSON, ["Authorization", `bearer ${ADMIN_KEY}`]], 201),
  {
    name: "a stranger's broken body",
    request: { method: "POST", path: "/api/v1/links", headers: [AS_JSON], body: "{" },
    expected: [401, "UNAUTHENTICATED"],
  },
  {
    name: "a key in the query",
    request: { path: `/api/v1/links?api_key=${ADMIN_KEY}` },
    expected: [401, "UNAUTHENTICATED"],
  },
];

const OTHER_TYPES: readonly string[] = [
  "",
  "text/plain",
  "text/json",
  "*/*",
  "application/*",
  "application/jsonx",
  "application/json-patch+json",
  "application/problem+json",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/json, text/plain",
  "text/plain; application/json",
  "\u00e9",
  "x".repeat(4_000),
];

const TYPE_CASES: readonly HostileCase[] = [
  ...OTHER_TYPES.map((type) =>
    postWith(
      `Content-Type ${shown(type)}`,
      [AUTHORISED, ["Content-Type", type]],
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ),
  ),
  postWith("no Content-Type", [AUTHORISED], 415, "UNSUPPORTED_MEDIA_TYPE"),
  ...["APPLICATION/JSON", "application/json;", "application/json ; charset=utf-16"].map((type) =>
    postWith(`Content-Type ${type}, which is fine`, [AUTHORISED, ["Content-Type", type]], 201),
  ),
];

const BAD_KEYS: readonly string[] = [
  "",
  "x".repeat(256),
  "a b",
  "a\tb",
  "\u00e9",
  "\u007f",
  "x".repeat(5_000),
];

const IDEMPOTENCY_CASES: readonly HostileCase[] = [
  ...BAD_KEYS.map((key) =>
    postWith(
      `Idempotency-Key ${shown(key)}`,
      [AUTHORISED, AS_JSON, ["Idempotency-Key", key]],
      422,
      "INVALID",
      "Idempotency-Key",
    ),
  ),
  postWith(
    "Idempotency-Key twice",
    [AUTHORISED, AS_JSON, ["Idempotency-Key", "a"], ["Idempotency-Key", "b"]],
    422,
    "INVALID",
    "Idempotency-Key",
  ),
  ...["x".repeat(255), "';--", "\\", "%00", "{}", "__proto__"].map((key) =>
    postWith(
      `Idempotency-Key ${shown(key)}, which is fine`,
      [AUTHORISED, AS_JSON, ["Idempotency-Key", key]],
      201,
    ),
  ),
];

/** What visitors send; no click and no redirect may fail for it. */
const VISITOR_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ["X-Forwarded-For", ""],
  ["X-Forwarded-For", "garbage"],
  ["X-Forwarded-For", "999.999.999.999"],
  ["X-Forwarded-For", "1.2.3.4, , ,"],
  ["X-Forwarded-For", ",".repeat(8_000)],
  ["X-Forwarded-For", "8.8.8.8,".repeat(1_000)],
  ["X-Forwarded-For", "::ffff:1.2.3.4%eth0"],
  ["X-Forwarded-For", "[::1]:99999"],
  ["X-Forwarded-For", "[[[[::1"],
  ["X-Forwarded-For", "'; DROP TABLE clicks; --"],
  ["X-Forwarded-For", "\u00ff\u00fe"],
  ["X-Forwarded-For", "127.0.0.1"],
  ["User-Agent", ""],
  ["User-Agent", "x".repeat(8_000)],
  ["User-Agent", "\u00ff\u00fe\u0080"],
  ["User-Agent", '"},{"\\'],
  ["User-Agent", "Mozilla/5.0 ('; DROP TABLE clicks; --)"],
  ["Referer", "javascript:alert(1)"],
  ["Referer", "http://"],
  ["Referer", "http://[::1"],
  ["Referer", `https://${"a.".repeat(3_000)}com/`],
  ["Referer", 'https://a"b\\c.example/'],
  ["Referer", "\u00e9"],
  ["Accept-Language", "*;q=9,;;;,de;q=NaN"],
  ["Accept-Language", "x,".repeat(4_000)],
  ["Accept-Language", '"},{"'],
  ["Accept", "text/html\u00ff"],
  ["Sec-Purpose", "\u00ff"],
  ["Cookie", "a=".repeat(4_000)],
  ["Range", "bytes=0-0,-1"],
  ["If-None-Match", "*"],
  ["Upgrade", "h2c"],
  ["X-Request-Id", "chosen-by-the-client"],
];

const VISITOR_CASES: readonly HostileCase[] = VISITOR_HEADERS.map(([name, value]) => ({
  name: `a visitor's ${name} ${shown(value)}, which is redirected`,
  request: { path: `/${KNOWN_CODE}`, headers: [[name, value]] },
  expected: [302],
}));

export const HOSTILE_REQUESTS: readonly HostileCase[] = [
  ...BODY_CASES,
  ...ADDRESS_CASES,
  ...AUTH_CASES,
  ...TYPE_CASES,
  ...IDEMPOTENCY_CASES,
  ...VISITOR_CASES,
];
