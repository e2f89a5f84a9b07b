// URLs of Postgres: what the driver gets to see of them, and what hop makes of the rest.
import { describe, expect, test } from "bun:test";
import { parsePostgresUrl } from "../../src/lib/postgres-url.ts";

const HOST = "postgres://hop:p%40ss@db.example.com:5433/hop";

describe("the driver is given", () => {
  test.each([
    [HOST],
    ["postgresql://db/hop"],
    ["postgres://db"],
    ["postgres://hop@a,b:5433/hop"],
    ["postgres://hop@[::1]:5433/hop"],
    ["postgres:///hop"],
    [`${HOST}?sslmode=require&application_name=hop%20one`],
    [`${HOST}?options=-c+search_path%3Dlinks`],
    [`${HOST}?sslmode=disable`],
  ])("%s as it is", (text) => {
    const parsed = parsePostgresUrl(text);
    expect(parsed).toMatchObject({ socketDirectory: undefined, tls: undefined });
    const [[askedPlace, asked], [givenPlace, given]] = [text.split("?"), (parsed?.url ?? "").split("?")];
    expect(givenPlace).toBe(askedPlace);
    // Spelled otherwise, they say the same.
    expect([...new URLSearchParams(given)]).toEqual([...new URLSearchParams(asked)]);
  });

  test("no channel binding, which it would pass on to the server", () => {
    expect(parsePostgresUrl(`${HOST}?sslmode=require&channel_binding=require`)?.url).toBe(
      `${HOST}?sslmode=require`,
    );
  });
});

describe("a Unix socket is found", () => {
  test.each([
    ["postgres://hop:pw@%2Fvar%2Frun%2Fpostgresql/hop", "postgres://hop:pw@localhost:/hop"],
    ["postgres://hop:pw@%2fvar%2frun%2fpostgresql:5433/hop", "postgres://hop:pw@localhost:5433/hop"],
    ["postgres://hop:pw@/hop?host=/var/run/postgresql", "postgres://hop:pw@localhost:/hop"],
    ["postgres:///hop?host=/var/run/postgresql&port=5433", "postgres://localhost:5433/hop"],
    ["postgres://elsewhere/hop?host=/var/run/postgresql", "postgres://localhost:/hop"],
    // There is no TLS in it.
    [
      "postgres://%2Fvar%2Frun%2Fpostgresql/hop?sslmode=verify-full&sslrootcert=/ca",
      "postgres://localhost:/hop",
    ],
  ])("in %s", (text, url) => {
    expect(parsePostgresUrl(text)).toEqual({
      url,
      socketDirectory: "/var/run/postgresql",
      tls: undefined,
    });
  });
});

describe("TLS that the driver does not know", () => {
  const NO_FILES = { authorities: undefined, certificate: undefined, key: undefined };
  const CA = { ...NO_FILES, authorities: "/ca.pem" };
  test.each([
    ["sslmode=verify-full&sslrootcert=/ca.pem", { verifies: "host", ...CA }],
    ["sslmode=verify-ca&sslrootcert=/ca.pem", { verifies: "authority", ...CA }],
    ["sslmode=verify-ca", { verifies: "authority", ...NO_FILES }],
    ["sslmode=require&sslrootcert=/ca.pem", { verifies: "authority", ...CA }],
    ["sslrootcert=/ca.pem", { verifies: "host", ...CA }],
    ["sslmode=prefer&sslrootcert=/ca.pem", { verifies: "host", ...CA }],
    ["sslrootcert=system", { verifies: "host", ...NO_FILES }],
    [
      "sslmode=require&sslcert=/hop.pem&sslkey=/hop.key",
      { verifies: "nothing", authorities: undefined, certificate: "/hop.pem", key: "/hop.key" },
    ],
  ])("of %s", (parameters, tls) => {
    const parsed = parsePostgresUrl(`${HOST}?${parameters}`);
    expect(parsed?.tls).toEqual(tls as never);
    // A file that the server were told of would be refused.
    expect(parsed?.url).not.toMatch(/sslrootcert|sslcert|sslkey/);
  });
});

test.each([
  ["mysql://db/hop"],
  ["postgres:db"],
  ["postgres://hop:pw@/hop"],
  ["postgres://a b/hop"],
  ["postgres://db:99999/hop"],
  ["postgres://a,b:99999/hop"],
  ["postgres://%2Ftmp%zz/hop"],
])("%s is no URL of Postgres", (text) => {
  expect(parsePostgresUrl(text)).toBeUndefined();
});
