// What reaches the log: JSON lines with what was said, and no secret, wherever it was put.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { secretsOf } from "../../src/config/secrets.ts";
import { createLog, warnSeldom } from "../../src/lib/log.ts";
import { createMask } from "../../src/lib/secrets.ts";
import { KEY, load } from "../helpers/config.ts";

function openTestLog(secrets: readonly string[] = []) {
  const lines: string[] = [];
  const log = createLog({ level: "info", pretty: false, secrets }, { write: (line) => lines.push(line) });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? "") };
}

describe("a log line", () => {
  test("is JSON with a level by name, a time and the message, and no host or process", () => {
    const { log, last } = openTestLog();
    log.warn({ requestId: "r-1" }, "something");
    expect(last()).toEqual({
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      requestId: "r-1",
      msg: "something",
    });
  });

  test("below the level is not written", () => {
    const { log, lines } = openTestLog();
    log.debug({}, "details");
    expect(lines).toEqual([]);
  });

  test.each(["authorization", "password", "databaseUrl", "redisUrl", "adminKey"])(
    "never has the field %s",
    (name) => {
      const { log, lines } = openTestLog();
      log.info({ [name]: "opensesame", config: { [name]: "opensesame" } }, "x");
      expect(lines.join("")).not.toContain("opensesame");
    },
  );

  test("of an error has its type, message, code, causes and stack, and nothing that a client put there", () => {
    const { log, lines, last } = openTestLog();
    // As ioredis and postgres.js do.
    const refused = Object.assign(new Error("WRONGPASS"), {
      code: "ERR_X",
      command: { name: "auth", args: ["opensesame"] },
      parameters: ["opensesame"],
    });
    log.error({ err: refused }, "refused");
    expect(Object.keys(last().err)).toEqual(["type", "message", "code", "stack"]);
    log.error({ err: new TypeError("outer", { cause: refused }) }, "refused");
    expect(last().err).toMatchObject({ type: "TypeError", message: "outer: WRONGPASS" });
    expect(last().err.stack).toContain("caused by: Error: WRONGPASS");
    log.error({ err: new AggregateError([refused, new Error("other")], "both") }, "refused");
    expect(last().err.errors).toEqual(["Error: WRONGPASS", "Error: other"]);
    log.error({ err: "only text" }, "refused");
    expect(last().err).toBe("only text");
    expect(lines.join("")).not.toContain("opensesame");
  });
});

describe("whatever is logged wherever", () => {
  const secret = 's3cr"et\\word';
  const places = [
    (text: string) => [{ note: text }, "x"],
    (text: string) => [{ deep: { er: { still: [text] } } }, "x"],
    (text: string) => [{}, `message with ${text} inside`],
    (text: string) => [{ err: new Error(text) }, "x"],
    (text: string) => [{ err: new Error("x", { cause: new Error(text) }) }, "x"],
    (text: string) => [{ [text]: 1 }, "x"],
  ] as const satisfies ((text: string) => [object, string])[];

  test.each([
    ["a known secret", secret, secret],
    ["the password of a URL", `connect postgres://hop:tr0ub4dor@db:5432/hop failed`, "tr0ub4dor"],
    ["the password of a URL without a user", `redis://:tr0ub4dor@cache`, "tr0ub4dor"],
    ["a password with an at sign", `postgres://hop:tr0ub@4dor@db/hop`, "4dor"],
    ["an API key", `Bearer ${KEY}`, KEY],
  ])("%s is masked", (_name, text, hidden) => {
    for (const place of places) {
      const { log, lines } = openTestLog([secret]);
      const [fields, message] = place(text);
      log.error(fields, message);
      const line = lines.join("");
      expect(JSON.parse(line)).toMatchObject({ level: "error" });
      expect(line).not.toContain(hidden);
      expect(line).not.toContain(JSON.stringify(hidden).slice(1, -1));
      expect(line).toContain("***");
    }
  });

  test("no secret of six characters and more gets through", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6 }), fc.string(), (secret, around) => {
        const { log, lines } = openTestLog([secret]);
        log.info({ note: `${around}${secret}${around}` }, "x");
        const line = lines.join("");
        expect(line).not.toContain(secret);
      }),
    );
  });
});

describe("the secrets of a configuration", () => {
  test("are its secret values and the passwords in them, as written and decoded", () => {
    const config = load({
      HOP_DATABASE_URL: "postgres://hop:p%40ssw0rd@db/hop",
      HOP_REDIS_URL: "redis://:first-one@a:1,redis://user:second-one@b:2",
      HOP_ADMIN_KEY: KEY,
    });
    const secrets = secretsOf(config);
    for (const secret of ["p%40ssw0rd", "p@ssw0rd", "first-one", "second-one", KEY])
      expect(secrets).toContain(secret);
  });

  test("are none when none is set", () => {
    expect(secretsOf(load())).toEqual([]);
  });

  test("that are short are masked in URLs only: a log without the word hop is of no use", () => {
    const mask = createMask(["hop"]);
    expect(mask("hop is ready, postgres://hop:hop@db/hop")).toBe("hop is ready, postgres://***@db/hop");
  });
});

test("what fails again and again is said at once, and then every ten seconds with the number that was kept back", () => {
  const { log, lines } = openTestLog();
  let nowMs = 1_000_000;
  const warn = warnSeldom(log, "Redis is away", undefined, () => nowMs);
  for (const afterMs of [0, 100, 9_800, 101, 1, 20_000]) {
    nowMs += afterMs;
    warn(new Error("refused"));
  }
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: "Redis is away", err: { message: "refused" } },
    { keptBack: 2 },
    { keptBack: 1 },
  ]);
  expect(JSON.parse(lines[0] ?? "")).not.toHaveProperty("keptBack");
});
