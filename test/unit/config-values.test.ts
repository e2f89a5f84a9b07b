// What each kind of variable accepts, and what it says about the rest.

import { describe, expect, test } from "bun:test";
import type { Config } from "../../src/config.ts";
import { KEY, load, problemsOf, REDIS, ROWS } from "../helpers/config.ts";

describe("values", () => {
  const good: [name: string, text: string, field: keyof Config, value: Config[keyof Config]][] = [
    ["HOP_PORT", "0", "port", 0],
    ["HOP_PORT", "65535", "port", 65_535],
    ["HOP_ADMIN_PORT", "0", "adminPort", 0],
    ["HOP_HOST", "::1", "host", "::1"],
    ["HOP_HOST", "hop_1.internal", "host", "hop_1.internal"],
    ["HOP_BASE_URL", "https://Go.example/", "baseUrl", "https://go.example"],
    ["HOP_BASE_URL", "http://go.example:8080", "baseUrl", "http://go.example:8080"],
    ["HOP_BASE_URL", "https://bücher.example", "baseUrl", "https://xn--bcher-kva.example"],
    ["HOP_DATA_DIR", "data/hop", "dataDir", "/srv/hop/data/hop"],
    ["HOP_DATA_DIR", "/var/lib/hop", "dataDir", "/var/lib/hop"],
    ["HOP_DATABASE_URL", "postgres://u:p%40@db:5432/hop", "databaseUrl", "postgres://u:p%40@db:5432/hop"],
    ["HOP_DATABASE_URL", "postgresql://a:1,b:2/hop?x=1", "databaseUrl", "postgresql://a:1,b:2/hop?x=1"],
    ["HOP_REDIS_URL", `${REDIS},rediss://b`, "redisUrl", `${REDIS},rediss://b`],
    ["HOP_REDIS_URL", "unix:///run/redis/redis.sock", "redisUrl", "unix:///run/redis/redis.sock"],
    ["HOP_REDIS_URL", "unix://u:p%40@/r.sock?db=3", "redisUrl", "unix://u:p%40@/r.sock?db=3"],
    ["HOP_REDIS_URL", `unix:///${"r".repeat(106)}`, "redisUrl", `unix:///${"r".repeat(106)}`],
    ["HOP_REDIS_URL", "unix://:p@/r.sock", "redisUrl", "unix://:p@/r.sock"],
    ["HOP_WORKERS", "auto", "workers", 8],
    ["HOP_WORKERS", "3", "workers", 3],
    ["HOP_CODE_ALPHABET", "ab-_", "codeAlphabet", "ab-_"],
    ["HOP_ADMIN_KEY", KEY, "adminKey", KEY],
    ["HOP_TRUSTED_PROXIES", "10.0.0.0/8, ::1", "trustedProxies", ["10.0.0.0/8", "::1/128"]],
    ["HOP_TRUSTED_PROXIES", "192.0.2.1,fd00::/8", "trustedProxies", ["192.0.2.1/32", "fd00::/8"]],
    ["HOP_LOG_LEVEL", "silent", "logLevel", "silent"],
    ["HOP_CODE_ATTEMPTS", "3", "codeAttempts", 3],
  ];
  test.each(good)("%s=%s is accepted", (name, text, field, value) => {
    expect(load({ [name]: text })[field]).toEqual(value);
  });

  const integers = [
    "-1",
    "+1",
    "1e3",
    "10.5",
    "0x10",
    " 10",
    "10 ",
    "10\n",
    "010",
    "1_000",
    "١",
    "NaN",
    "9".repeat(30),
  ];
  const bad: Record<string, string[]> = {
    HOP_PORT: [...integers, "65536"],
    HOP_ADMIN_PORT: ["65536"],
    HOP_WORKERS: [...integers, "0", "Auto"],
    HOP_DATABASE_CONNECTIONS: [...integers, "0", "201"],
    HOP_CODE_LENGTH: ["0", "65"],
    HOP_IDLE_TIMEOUT_SECONDS: ["0", "252"],
    HOP_HOST: ["[::1]", "a b", "127.0.0.1:80", "http://a", "256.1.1.1", "-a", "a..b", "a".repeat(64)],
    HOP_BASE_URL: [
      "go.example",
      "ftp://a",
      "https:a",
      "https://a/b",
      "https://a?",
      "https://a#",
      "https://",
      "https://a b",
      "https://a:99999",
      " https://a",
      "https://a\\b",
    ],
    HOP_DATABASE_URL: [
      "db",
      "mysql://db/hop",
      "postgres:db",
      "postgres://db:99999/hop",
      "postgres://a b/hop",
      "postgres://u:p@ss@db/hop",
      "postgres://u:p/w@db/hop",
      "postgres://u:p@/hop",
      "postgres://u@%2Fa%zz/hop",
      `postgres://u@/hop?host=/${"r".repeat(100)}`,
    ],
    HOP_REDIS_URL: [
      "cache:6379",
      "http://cache",
      "redis://",
      `${REDIS},cache`,
      `${REDIS},`,
      "redis://a:99999",
      "/run/redis.sock",
      "unix:/run/redis.sock",
      "unix://run/redis.sock",
      "unix:///",
      "unix:///run/",
      "unix:///a b.sock",
      "unix:///a%20b.sock",
      `unix:///${"r".repeat(107)}`,
      "unix:///r.sock?db=x",
      "unix:///r.sock?database=1",
      "unix://u:p%zz@/r.sock",
      "unix://u:p@host/r.sock",
      `${REDIS},unix:///r.sock`,
      "unix:///r.sock,unix:///s.sock",
    ],
    HOP_CLICKS: ["Batch", "none", "toString"],
    HOP_CLICKS_ACK: ["sync"],
    HOP_CACHE: ["on"],
    HOP_CODE_ALPHABET: ["a", "aa", "abca", "abé", "a b", "a/b"],
    HOP_ADMIN_KEY: ["secret", `hop_${"k".repeat(31)}`, `${KEY}!`, KEY.toUpperCase()],
    HOP_TRUSTED_PROXIES: [
      "10.0.0.0/33",
      "::/129",
      "10.0.0/8",
      "10.0.0.0/08",
      "10.0.0.0/",
      "a",
      "::1,,",
      "1.2.3.4/8/8",
      "fe80::1%eth0",
    ],
    HOP_LOG_LEVEL: ["verbose", "INFO"],
  };
  const cases = Object.entries(bad).flatMap(([name, texts]) => texts.map((text) => [name, text] as const));
  test.each(cases)("%s=%j is refused, by name and with what to write instead", (name, text) => {
    const problems = problemsOf(() => load({ HOP_REDIS_URL: REDIS, [name]: text }));
    const row = ROWS.find((row) => row.name === name);
    const shown = row?.secret ? "its value (not shown)" : JSON.stringify(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith(`${name}: ${shown} `);
    expect(problems[0]).toEndWith(`; write ${row?.kind.accepts}`);
  });

  test("a refused number is told the allowed range", () => {
    expect(problemsOf(() => load({ HOP_PORT: "80a" }))).toEqual([
      'HOP_PORT: "80a" is not allowed; write a whole number from 0 to 65535',
    ]);
  });

  test("a refused list is told which entry is wrong", () => {
    const [problem] = problemsOf(() => load({ HOP_TRUSTED_PROXIES: "::1,10.0.0.0/40" }));
    expect(problem).toContain("wrong in entry 2");
  });

  test("every bound accepts 1 and refuses 0", () => {
    const bounds = ROWS.filter((row) => row.group === "Bounds");
    expect(bounds.length).toBeGreaterThan(37);
    const ones = Object.fromEntries(bounds.map((row) => [row.name, "1"]));
    expect(problemsOf(() => load({ ...ones, HOP_CLICKS_WAIT_MS: "1" }))).toEqual([]);
    const zeros = Object.fromEntries(bounds.map((row) => [row.name, "0"]));
    expect(problemsOf(() => load(zeros))).toHaveLength(bounds.length);
  });
});
