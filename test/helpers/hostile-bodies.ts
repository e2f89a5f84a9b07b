// Hostile bodies of a create: what is no JSON, what is no object, and wrong values for every field.
import {
  accepts,
  DELETED_CODE,
  GOOD_URL,
  type HostileCase,
  KNOWN_CODE,
  OWN_PORT,
  post,
  postText,
  refuses,
  shown,
} from "./hostile-case.ts";
import { REFUSED } from "./target-cases.ts";

const MALFORMED: readonly string[] = [
  "",
  " ",
  "{",
  "}",
  "{]",
  "{}{}",
  "nul",
  "NaN",
  "undefined",
  "{'url':'https://example.com/'}",
  '{"url":"https://example.com/",}',
  '{"url":NaN}',
  '{"url":Infinity}',
  '{"status":0302}',
  '{"status":0x12e}',
  '{"url":"a\nb"}',
  '{"url":"a\0b"}',
  '{"url":"\\x41"}',
  '{"url":"\\u12"}',
  "// a comment\n{}",
  "\0",
  "url=https://example.com/",
  "<link/>",
  "[".repeat(100_000),
  '{"url":'.repeat(14_000),
];

/** Bytes that are no UTF-8, in a body that would be good otherwise. */
function withBytes(...bytes: number[]): Uint8Array {
  return Buffer.concat([
    Buffer.from('{"url":"https://example.com/","title":"'),
    Buffer.from(bytes),
    Buffer.from('"}'),
  ]);
}

const GOOD_BODY = JSON.stringify({ url: GOOD_URL });

const JSON_CASES: readonly HostileCase[] = [
  ...MALFORMED.map((text) => postText(`body ${shown(text)}`, text, 400, "MALFORMED_JSON")),
  postText("body with a stray byte ff", withBytes(0xff), 400, "MALFORMED_JSON"),
  postText("body with an overlong slash", withBytes(0xc0, 0xaf), 400, "MALFORMED_JSON"),
  postText("body with a surrogate in UTF-8", withBytes(0xed, 0xa0, 0x80), 400, "MALFORMED_JSON"),
  postText("body with half a character", withBytes(0xe2, 0x82), 400, "MALFORMED_JSON"),
  postText("body with a code point above 10ffff", withBytes(0xf4, 0x90, 0x80, 0x80), 400, "MALFORMED_JSON"),
  postText("body in UTF-16", Buffer.from(GOOD_BODY, "utf16le"), 400, "MALFORMED_JSON"),
  postText("body in gzip", Bun.gzipSync(GOOD_BODY), 400, "MALFORMED_JSON"),
  postText("body with a byte order mark, which is fine", `\ufeff${GOOD_BODY}`, 201),
  ...["null", "true", "0", "-1e999", '"text"', "[]", "[{}]", `[${GOOD_BODY}]`].map((text) =>
    postText(`body ${text}, which is no object`, text, 422, "INVALID", "body"),
  ),
  postText("100,000 nested lists", "[".repeat(100_000) + "]".repeat(100_000), 422, "INVALID", "body"),
  post("a title of 20,000 nested lists", { title: nested(20_000) }, 422, "INVALID", "title"),
  postText("no field at all", "{}", 422, "INVALID", "url"),
  postText("a good url after a bad one", `{"url":"javascript:1","url":"${GOOD_URL}"}`, 201),
  postText("a bad url after a good one", `{"url":"${GOOD_URL}","url":"javascript:1"}`, 422, "INVALID", "url"),
  postText("a url behind __proto__", `{"__proto__":{"url":"${GOOD_URL}"}}`, 422, "INVALID", "url"),
  post("a field constructor", { constructor: { prototype: { admin: true } } }, 422, "INVALID", "constructor"),
  post("a field toString", { toString: "x" }, 422, "INVALID", "toString"),
  ...["id", "clicks", "createdAt", "deletedAt", "shortUrl", "domain_id", "URL", "url ", "a.b", "\ud800"].map(
    (name) => post(`an unknown field ${shown(name)}`, { [name]: 1 }, 422, "INVALID", name),
  ),
  post("an unknown field of 10,000 characters", { ["x".repeat(10_000)]: 1 }, 422, "INVALID", "x".repeat(100)),
  post(
    "1,000 unknown fields",
    Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`x${n}`, n])),
    422,
    "INVALID",
    "x0",
  ),
];

/** Lists in lists as a value; JSON.stringify would not survive writing deeper ones. */
function nested(depth: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}

const URL_CASES: readonly HostileCase[] = [
  ...REFUSED.map(([raw]) => post(`url ${shown(raw)}`, { url: raw }, 422, "INVALID", "url")),
  ...refuses("url", [null, 1, true, [], {}, [GOOD_URL], { href: GOOD_URL }]),
  ...refuses("url", [
    `http://localhost:${OWN_PORT}/`,
    `http://LOCALHOST.:${OWN_PORT}/x`,
    `HTTPS://localhost:${OWN_PORT}/${KNOWN_CODE}`,
    `http://\uff4cocalhost:${OWN_PORT}/`,
    `${GOOD_URL}${"a".repeat(4_097 - GOOD_URL.length)}`,
    `${GOOD_URL}${"\u00fc".repeat(4_000)}`,
    `https://${"a".repeat(4_000)}`,
  ]),
  ...accepts("url", [
    `${GOOD_URL}${"a".repeat(4_096 - GOOD_URL.length)}`,
    "https://\u0430\u0440\u0440\u04cf\u0435.example/",
    "https://example.com/\u202egnp.exe",
    "https://example.com/%0d%0aSet-Cookie:%20a=b",
    "https://example.com/?q='; DROP TABLE links; --",
  ]),
];

const CODE_CASES: readonly HostileCase[] = [
  ...refuses("code", [null, 1, true, [], {}, ["x"]]),
  ...refuses("code", ["", " ", "x".repeat(65), "x".repeat(10_000), "a/b", "../a", ".", "..", "a.b", "a b"]),
  ...refuses("code", ["a+", "a%2Fb", "a?b", "a#b", "a\\b", "a\0", "a\n", "\ufeffa", "a\u200bb", "a\ud800"]),
  ...refuses("code", ["\u00e4", "\u0430pi", "\uff41", "\u017f", "\u212a", "\u{1F4A9}", "<b>", "a'--", "a;b"]),
  ...refuses("code", ["api", "API", "Livez", "metrics", "login", "admin", "undefined", "null", "well-known"]),
  post("a code that is taken", { code: KNOWN_CODE }, 409, "CODE_TAKEN"),
  post("a code that was deleted", { code: DELETED_CODE }, 409, "CODE_TAKEN"),
  ...accepts("code", ["__proto__", "constructor", "toString", "-", "_", "--", "0", "x".repeat(64)]),
];

const TEXT_CASES: readonly HostileCase[] = [
  ...refuses("title", [1, true, [], {}, ["x"], "x".repeat(301), "a\0", "a\nb", "\u0085", "\u001b[31m"]),
  ...refuses("title", ["\ud800", "\udc00x", "\u007f"]),
  ...accepts("title", ["", "   ", "x".repeat(300), "<script>alert(1)</script>", "'; DROP TABLE links; --"]),
  ...accepts("title", ["\u202eabc", "\u{1F4A9}", '{"a":1}', "\\u0000", "%00", "NULL"]),
  ...refuses("tags", [null, "a", 1, true, {}, { 0: "a", length: 1 }]),
  ...refuses("tags", [
    Array.from({ length: 21 }, (_, n) => `t${n}`),
    Array.from({ length: 9_000 }, () => "t"),
  ]),
  ...[1, null, [], {}, "", "   ", "a,b", ",", "a\0b", "a\nb", "\ud800", "x".repeat(51)].map((tag) =>
    post(`a tag ${shown(tag)}`, { tags: ["good", tag] }, 422, "INVALID", "tags.1"),
  ),
  ...accepts("tags", [
    Array.from({ length: 20 }, (_, n) => `t${n}`),
    ["NULL", "{}", '"', "\\", '"}{"', "a b", "'; --", "\u{1F4A9}"],
    ["__proto__", "a", "a"],
  ]),
];

const NUMBER_CASES: readonly HostileCase[] = [
  ...refuses("status", ["302", 200, 300, 303, 304, 0, -302, 302.5, 1e308, null, true, [], [302], {}]),
  postText("a status of 1e999", `{"url":"${GOOD_URL}","status":1e999}`, 422, "INVALID", "status"),
  postText("a status of 302.0, which is fine", `{"url":"${GOOD_URL}","status":302.0}`, 201),
  postText("a status of 3.02e2, which is fine", `{"url":"${GOOD_URL}","status":3.02e2}`, 201),
];

const DATE_CASES: readonly HostileCase[] = [
  ...refuses("expiresAt", [0, 1e15, true, [], {}, "", " ", "tomorrow", "now", "infinity", "epoch", "1e3"]),
  ...refuses("expiresAt", ["2090-01-01", "2090-01-01T00:00:00", "2090-01-01 00:00:00Z", "20900101T000000Z"]),
  ...refuses("expiresAt", ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "-000001-01-01T00:00:00Z"]),
  ...refuses("expiresAt", ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]),
  ...refuses("expiresAt", ["10000-01-01T00:00:00Z", "+010000-01-01T00:00:00Z", "+275760-09-13T00:00:00Z"]),
  ...refuses("expiresAt", ["9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59.999-23:59"]),
  ...refuses("expiresAt", ["2090-02-30T00:00:00Z", "2090-02-29T00:00:00Z", "2090-13-01T00:00:00Z"]),
  ...refuses("expiresAt", ["2090-01-01T24:00:00Z", "2090-01-01T23:60:00Z", "2090-01-01T23:59:60Z"]),
  ...refuses("expiresAt", ["2090-01-01T00:00:00+24:00", "2090-01-01T00:00:00 UTC", "2090-W01-1T00:00:00Z"]),
  ...refuses("expiresAt", ["\uff12\uff10\uff19\uff10-01-01T00:00:00Z", "2090-01-01T00:00:00Z\0"]),
  ...refuses("expiresAt", ["2090-01-01T00:00:00Z'; DROP TABLE links; --", " 2090-01-01T00:00:00Z"]),
  ...accepts("expiresAt", ["9999-12-31T23:59:59.999Z", "2092-02-29T00:00:00Z", "2090-01-01T00:00:00+23:59"]),
  ...accepts("expiresAt", [`2090-01-01T00:00:00.${"1".repeat(1_000)}Z`, null]),
];

export const BODY_CASES: readonly HostileCase[] = [
  ...JSON_CASES,
  ...URL_CASES,
  ...CODE_CASES,
  ...TEXT_CASES,
  ...NUMBER_CASES,
  ...DATE_CASES,
];
