// API keys: how they are read, what they may do, and when they may no longer.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type ApiKey,
  authorise,
  describeKey,
  generateKey,
  hashKey,
  parseBearer,
  parseScopes,
  type Scope,
  SCOPES,
} from "../../src/keys/key.ts";
import { AppError } from "../../src/lib/errors.ts";

const KEY = generateKey();

function stored(rest: Partial<ApiKey> = {}): ApiKey {
  return {
    id: 1,
    name: "test",
    ...describeKey(KEY),
    scopes: ["links:read"],
    createdAt: new Date(),
    lastUsedAt: null,
    revokedAt: null,
    ...rest,
  };
}

/** The code of the AppError that this ends in. */
function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return "no error";
}

describe("a new key", () => {
  test("is hop_ and 256 random bits, and its own Authorization header is accepted", () => {
    const keys = Array.from({ length: 100 }, generateKey);
    expect(new Set(keys).size).toBe(100);
    for (const key of keys) {
      expect(key).toMatch(/^hop_[\w-]{43}$/);
      expect(parseBearer(`Bearer ${key}`)).toBe(key);
    }
  });

  test("is described by twelve characters and its SHA-256", () => {
    const { prefix, hash } = describeKey(KEY);
    expect(prefix).toBe(KEY.slice(0, 12));
    expect(Buffer.from(hash).toString("hex")).toBe(new Bun.CryptoHasher("sha256").update(KEY).digest("hex"));
  });
});

describe("an Authorization header", () => {
  test.each([`Bearer ${KEY}`, `bearer ${KEY}`, `BEARER   ${KEY}`])("%j is read", (header) => {
    expect(parseBearer(header)).toBe(KEY);
  });

  test.each([
    null,
    undefined,
    "",
    KEY,
    "Bearer",
    "Bearer ",
    "Bearer hop_short",
    `Bearer ${KEY} `,
    ` Bearer ${KEY}`,
    `Bearer ${KEY}\n`,
    `Bearer ${KEY}, Bearer ${KEY}`,
    `Basic ${KEY}`,
    `Bearer hop_${"a".repeat(201)}`,
    `Bearer hop_${"a".repeat(40)}!`,
    `Bearer xop_${"a".repeat(40)}`,
  ])("%j is refused", (header) => {
    expect(codeOf(() => parseBearer(header))).toBe("UNAUTHENTICATED");
  });

  test("of any text is read or refused, and a refusal does not repeat it", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 5 }), (text) => {
        try {
          expect(`Bearer ${parseBearer(`Bearer ${text}`)}`.toLowerCase()).toContain("hop_");
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          if (text.trim().length > 8) expect((error as AppError).message).not.toContain(text);
        }
      }),
    );
  });
});

const check = (key: ApiKey | undefined, scope: Scope) => authorise(key, hashKey(KEY), scope);

describe("a stored key", () => {
  test("opens what its scopes name", () => {
    const key = stored({ scopes: ["links:write", "stats:read"] });
    expect(check(key, "links:write")).toBe(key);
    expect(check(key, "stats:read")).toBe(key);
    expect(codeOf(() => check(key, "links:read"))).toBe("FORBIDDEN");
    expect(codeOf(() => check(key, "admin"))).toBe("FORBIDDEN");
  });

  test("with the scope admin opens everything", () => {
    for (const scope of SCOPES) expect(check(stored({ scopes: ["admin"] }), scope).id).toBe(1);
  });

  test("without scopes opens nothing", () => {
    for (const scope of SCOPES) expect(codeOf(() => check(stored({ scopes: [] }), scope))).toBe("FORBIDDEN");
  });

  test("that is unknown, revoked or another one opens nothing, and the answers are alike", () => {
    const refusals = [undefined, stored({ revokedAt: new Date() }), stored({ hash: hashKey("other") })].map(
      (key) => {
        try {
          return check(key, "links:read");
        } catch (error) {
          return error;
        }
      },
    );
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(new Set(refusals.map(String)).size).toBe(1);
  });

  test("that was revoked is not told which scope it lacks", () => {
    const revoked = stored({ scopes: [], revokedAt: new Date() });
    expect(codeOf(() => check(revoked, "admin"))).toBe("UNAUTHENTICATED");
  });
});

describe("scopes", () => {
  test("that exist are read in order", () => {
    expect(parseScopes(["stats:read", "admin"])).toEqual(["stats:read", "admin"]);
    expect(parseScopes([...SCOPES])).toEqual([...SCOPES]);
  });

  test.each(["", "links", "Admin", " admin", "links:*", "toString"])("%j is refused by name", (name) => {
    expect(codeOf(() => parseScopes(["admin", name]))).toBe("INVALID");
    expect(() => parseScopes([name])).toThrow(`"${name}" is not a scope; choose from links:read`);
  });
});
