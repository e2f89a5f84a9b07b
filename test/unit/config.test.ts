// What a whole configuration is made of: defaults, problems, files, flags and presets.

import { describe, expect, test } from "bun:test";
import { PRESETS, type ConfigInput } from "../../src/config.ts";
import { configurationPage } from "../../src/config/docs.ts";
import { FIELDS, VARIABLES } from "../../src/config/variables.ts";
import { KEY, load, problemsOf, REDIS, ROWS } from "../helpers/config.ts";

function from(content: string): Partial<ConfigInput> {
  return { readFile: () => content };
}

describe("defaults", () => {
  test("an empty environment gives a complete, frozen configuration", () => {
    const config = load();
    expect(config).toMatchObject({
      host: "127.0.0.1",
      port: 8080,
      adminHost: "127.0.0.1",
      adminPort: 9090,
      dataDir: "/srv/hop/.hop",
      databaseConnections: 10,
      workers: 1,
      clicks: "batch",
      clicksAck: "durable",
      clicksWaitMs: 50,
      clicksRetentionDays: 400,
      cache: "memory",
      codeLength: 7,
      trustedProxies: [],
      logLevel: "info",
      idleTimeoutSeconds: 30,
      cacheBytes: 128 * 1024 * 1024,
    });
    expect(new Set(Object.keys(config))).toEqual(new Set(FIELDS));
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.trustedProxies)).toBe(true);
  });

  test("the base URL, both stores and the admin key are undefined until they are set", () => {
    const { baseUrl, databaseUrl, redisUrl, adminKey } = load();
    expect([baseUrl, databaseUrl, redisUrl, adminKey]).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("the default alphabet has 55 characters and none that looks like another", () => {
    const { codeAlphabet } = load();
    expect(new Set(codeAlphabet).size).toBe(55);
    expect(codeAlphabet).not.toMatch(/[0Oo1lIi]/);
  });

  test("with Redis clicks are streamed, and links are cached in the process and in Redis", () => {
    expect(load({ HOP_REDIS_URL: REDIS })).toMatchObject({ clicks: "stream", cache: "tiered" });
  });

  test("an empty variable is an unset one", () => {
    const env = Object.fromEntries(
      ROWS.flatMap(({ name }) => [
        [name, ""],
        [`${name}_FILE`, ""],
      ]),
    );
    expect(load({ ...env, HOP_UNHEARD_OF: "" })).toEqual(load());
  });

  test("a variable is named after its field", () => {
    for (const field of FIELDS) {
      const snake = field.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
      expect(VARIABLES[field].name).toBe(`HOP_${snake}`);
    }
  });
});

describe("problems", () => {
  test("all of them are reported at once", () => {
    const problems = problemsOf(() =>
      load(
        { HOP_CODE_LENGTH: "x", HOP_NONSENSE: "1", HOP_ADMIN_KEY_FILE: "/gone", HOP_LOG_LEVEL: "loud" },
        { flags: { port: "-1", preset: "v9" } },
      ),
    );
    const names = problems.map((problem) => problem.split(":")[0]);
    const expected = [
      "--port",
      "--preset",
      "HOP_ADMIN_KEY_FILE",
      "HOP_CODE_LENGTH",
      "HOP_LOG_LEVEL",
      "HOP_NONSENSE",
    ];
    expect(new Set(names)).toEqual(new Set(expected));
  });

  test.each([
    ["HOP_PROT", "HOP_PORT"],
    ["HOP_DATABASE", "HOP_DATA_DIR"],
    ["HOP_DATABASE_URI", "HOP_DATABASE_URL"],
    ["HOP_REDISURL_FILE", "HOP_REDIS_URL_FILE"],
    ["HOP_IDLE_TIMEOUT_MS", "HOP_BODY_TIMEOUT_MS"],
  ])("an unknown variable %s is refused and the nearest known one named", (name, known) => {
    const [problem] = problemsOf(() => load({ [name]: "s3cret" }));
    expect(problem).toBe(`${name}: hop has no such variable; did you mean ${known}? Rename or remove it`);
  });

  test("a variable that Kubernetes made for a Service named hop is explained", () => {
    const env = { HOP_SERVICE_HOST: "10.0.0.1", HOP_PORT_80_TCP: "tcp://10.0.0.1:80" };
    const problems = problemsOf(() => load(env));
    expect(problems).toHaveLength(2);
    for (const problem of problems) expect(problem).toContain("enableServiceLinks: false");
  });

  test("variables of other programs are nobody's business", () => {
    expect(load({ PATH: "/bin", PORT: "x", HOPE: "1", hop_port: "x" })).toEqual(load());
  });

  test("a password in a URL is not shown where a URL without one belongs", () => {
    const [problem] = problemsOf(() => load({ HOP_BASE_URL: "https://me:s3cret@go.example" }));
    expect(problem).toContain('"https://***@go.example"');
  });

  test("two listeners on one port of one host are refused", () => {
    const clash = { HOP_PORT: "9090" };
    expect(problemsOf(() => load(clash))).toEqual([
      "HOP_ADMIN_PORT: 9090 is HOP_PORT as well; write another port, or 0 to turn the admin listener off",
    ]);
    expect(problemsOf(() => load({ ...clash, HOP_HOST: "0.0.0.0" }))).toHaveLength(1);
    expect(problemsOf(() => load({ ...clash, HOP_ADMIN_HOST: "127.0.0.2" }))).toEqual([]);
    expect(problemsOf(() => load({ HOP_PORT: "0", HOP_ADMIN_PORT: "0" }))).toEqual([]);
    const [problem] = problemsOf(() => load({}, { flags: { port: "9090" } }));
    expect(problem).toContain("is --port as well");
  });

  test("what needs Redis is refused without it", () => {
    for (const env of [{ HOP_CLICKS: "stream" }, { HOP_CACHE: "redis" }, { HOP_CACHE: "tiered" }]) {
      const problems = problemsOf(() => load(env));
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain("needs Redis; set HOP_REDIS_URL");
      expect(problemsOf(() => load({ ...env, HOP_REDIS_URL: REDIS }))).toEqual([]);
    }
  });

  test("a wait for the store that is longer than a click may take is refused", () => {
    expect(problemsOf(() => load({ HOP_CLICKS_WAIT_MS: "80", HOP_CLICKS_TIMEOUT_MS: "79" }))).toEqual([
      "HOP_CLICKS_WAIT_MS: 80 is more than HOP_CLICKS_TIMEOUT_MS (79); write at most that",
    ]);
    expect(problemsOf(() => load({ HOP_CLICKS_TIMEOUT_MS: "49" }))).toHaveLength(1);
    expect(problemsOf(() => load({ HOP_CLICKS_WAIT_MS: "80", HOP_CLICKS_TIMEOUT_MS: "80" }))).toEqual([]);
  });

  test("replicas have less time than the command that waits for them", () => {
    const waits = { HOP_STREAM_WAIT_REPLICAS: "1", HOP_STREAM_WAIT_MS: "300" };
    expect(problemsOf(() => load({ ...waits, HOP_REDIS_TIMEOUT_MS: "300" }))).toEqual([
      "HOP_STREAM_WAIT_MS: 300 is not less than HOP_REDIS_TIMEOUT_MS (300); write less, or no batch is ever confirmed while a replica is away",
    ]);
    expect(problemsOf(() => load({ ...waits, HOP_REDIS_TIMEOUT_MS: "301" }))).toEqual([]);
    expect(problemsOf(() => load({ HOP_STREAM_WAIT_MS: "300", HOP_REDIS_TIMEOUT_MS: "1" }))).toEqual([]);
  });
});

describe("files", () => {
  test.each([KEY, `${KEY}\n`, `${KEY}\r\n`])("the content of NAME_FILE is the value: %j", (content) => {
    const paths: string[] = [];
    const readFile = (path: string) => (paths.push(path), content);
    expect(load({ HOP_ADMIN_KEY_FILE: "/run/secrets/key" }, { readFile }).adminKey).toBe(KEY);
    expect(paths).toEqual(["/run/secrets/key"]);
  });

  test("only one newline is dropped", () => {
    const problems = problemsOf(() => load({ HOP_PORT_FILE: "/port" }, from("80\n\n")));
    expect(problems).toEqual([
      'HOP_PORT_FILE: the content of "/port" is not allowed; write a whole number from 0 to 65535',
    ]);
  });

  test("a variable and its file together are refused", () => {
    expect(problemsOf(() => load({ HOP_PORT: "80", HOP_PORT_FILE: "/port" }, from("80")))).toEqual([
      "HOP_PORT: HOP_PORT_FILE is set as well; remove one of them",
    ]);
  });

  test("a file that can't be read is named, with the reason", () => {
    expect(problemsOf(() => load({ HOP_DATABASE_URL_FILE: "/gone" }))).toEqual([
      `HOP_DATABASE_URL_FILE: "/gone" can't be read (ENOENT); write the path of a readable file`,
    ]);
  });

  test("an empty file is refused rather than taken for unset", () => {
    const [problem] = problemsOf(() => load({ HOP_DATABASE_URL_FILE: "/empty" }, from("\n")));
    expect(problem).toContain('"/empty" is empty');
  });
});

describe("flags and presets", () => {
  test("a flag wins over the environment, even over a bad value there", () => {
    const flags = { port: "81", workers: "2" };
    expect(load({ HOP_PORT: "x", HOP_WORKERS: "4" }, { flags })).toMatchObject({ port: 81, workers: 2 });
  });

  test("a bad flag is named as the flag", () => {
    const problems = problemsOf(() => load({}, { flags: { port: "", workers: "many" } }));
    expect(problems.map((problem) => problem.split(" ")[0])).toEqual(["--port:", "--workers:"]);
  });

  test("a preset changes defaults and nothing else", () => {
    const baseline = { workers: 1, databaseConnections: 1, clicks: "inline", cache: "off" } as const;
    expect(PRESETS["v0.1"]).toEqual(baseline);
    expect(load({}, { flags: { preset: "v0.1" } })).toEqual({ ...load(), ...baseline });
  });

  test("v0.2 is v0.1 in several processes, and --workers says how many", () => {
    const flags = { preset: "v0.2" };
    expect(load({}, { flags })).toEqual({ ...load({}, { flags: { preset: "v0.1" } }), workers: 4 });
    expect(load({}, { flags: { ...flags, workers: "auto" } })).toMatchObject({ workers: 8, cache: "off" });
    expect(load({ HOP_WORKERS: "2" }, { flags })).toMatchObject({ workers: 2, clicks: "inline" });
  });

  test("each step of the ladder adds to the one before", () => {
    const steps = (["v0.3", "v0.4"] as const).map((preset) =>
      load({ HOP_REDIS_URL: REDIS }, { flags: { preset } }),
    );
    expect(steps[0]).toMatchObject({ clicks: "stream", cache: "off" });
    expect(steps[1]).toEqual({ ...load({ HOP_REDIS_URL: REDIS }), workers: 1, cache: "tiered" });
  });

  test("what is set explicitly wins over the preset", () => {
    const env = { HOP_CACHE: "memory", HOP_REDIS_URL: REDIS };
    const config = load(env, { flags: { preset: "v0.1", workers: "2" } });
    expect(config).toMatchObject({ cache: "memory", workers: 2, clicks: "inline" });
  });

  test.each(["v9", "", "__proto__", "constructor"])("an unknown preset %j is refused", (preset) => {
    expect(problemsOf(() => load({}, { flags: { preset } }))).toEqual([
      `--preset: ${JSON.stringify(preset)} is not a preset; write one of ${Object.keys(PRESETS).join(", ")}`,
    ]);
  });
});

test("docs/configuration.md is up to date (if not: npm run regenerate)", async () => {
  const committed = await Bun.file(`${import.meta.dir}/../../docs/configuration.md`).text();
  expect(committed).toBe(configurationPage());
  for (const { name } of ROWS) expect(committed).toContain(`| \`${name}\` |`);
});
