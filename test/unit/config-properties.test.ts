// What holds for any environment at all.

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ConfigError } from "../../src/config.ts";
import { editDistance } from "../../src/config/nearest.ts";
import { KEY, load, problemsOf, REDIS, ROWS } from "../helpers/config.ts";

describe("whatever the environment holds", () => {
  const SECRET = "s3cret-S3CRET";
  const secrets = ROWS.filter((row) => row.secret).map((row) => row.name);
  const anyName = fc.oneof(
    fc.constantFrom(...ROWS.flatMap(({ name }) => [name, `${name}_FILE`])),
    fc.string().map((tail) => `HOP_${tail}`),
  );
  const anyText = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("0", "1", "9090", "auto", "off", "stream", "redis", "::1", "https://a.example", REDIS),
  );
  const anySecret = fc
    .tuple(fc.constantFrom("", "hop_", "postgres://u:", "redis://:", "mysql://"), anyText, anyText)
    .map(([front, before, after]) => `${front}${before}${SECRET}${after}@db/hop`);
  const anyInput = fc.record({
    env: fc.dictionary(anyName, anyText, { noNullPrototype: true }),
    secretEnv: fc.dictionary(fc.constantFrom(...secrets), anySecret, { noNullPrototype: true }),
    content: fc.option(anySecret),
    flags: fc.record({ port: anyText, workers: anyText, preset: anyText }, { requiredKeys: [] }),
  });

  test("the outcome is a frozen Config or a ConfigError, and no secret is shown", () => {
    fc.assert(
      fc.property(anyInput, ({ env, secretEnv, content, flags }) => {
        const readFile = () => {
          if (content === null) throw new Error(`can't read ${SECRET}`);
          return content;
        };
        const input = { flags, readFile };
        try {
          expect(Object.isFrozen(load({ ...env, ...secretEnv }, input))).toBe(true);
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          expect(error.problems.length).toBeGreaterThan(0);
          expect(error.message).not.toContain(SECRET);
          for (const problem of error.problems) expect(problem).toMatch(/^(HOP_|--)/);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("a secret put where its path belongs is not shown", () => {
    for (const value of [KEY, "postgres://u:s3cret@db/hop", "rediss://:s3cret@cache"]) {
      for (const name of secrets) {
        const problems = problemsOf(() => load({ [`${name}_FILE`]: value }));
        expect(problems).toHaveLength(1);
        expect(problems[0]).not.toContain(value);
      }
    }
  });

  test("edit distance is a metric", () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
      }),
    );
    expect(editDistance("kitten", "sitting")).toBe(3);
  });
});
