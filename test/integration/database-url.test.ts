// Postgres at the places and with the certificates that its URL names: a real server, a real authority, real sockets.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { databaseAddress } from "../../src/open-storage.ts";
import { openDatabase } from "../../src/storage/postgres/database.ts";
import { Certificates } from "../helpers/certificates.ts";
import { errorOf } from "../helpers/error-of.ts";
import { createTestDatabase } from "../helpers/database.ts";
import { runHop, startHop } from "../helpers/hop-process.ts";
import { OwnPostgres } from "../helpers/own-postgres.ts";

const TIMEOUT_MS = 60_000;
/** In either word of TLS. */
const UNTRUSTED = /unable to verify|self.signed/;

/** What is asked of the server that the URL leads to. */
async function reach(url: string): Promise<{ tls: boolean; name: string | null }> {
  const sql = openDatabase({
    address: databaseAddress("HOP_DATABASE_URL", url),
    connections: 1,
    statementTimeoutMs: 10_000,
    applicationName: "hop test",
  });
  try {
    const [row] = await sql<{ tls: boolean; name: string | null }[]>`
      SELECT ssl AS tls, client_dn AS name FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;
    if (row === undefined) throw new Error("the session does not know itself");
    return row;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

describe("over TLS", () => {
  const certificates = new Certificates();
  const { directory } = certificates;
  const file = (name: string) => certificates.path(name);
  let postgres: OwnPostgres;
  /** With a host name and an address in place of `postgres.url`'s. */
  const at = (host: string, parameters: string) => `${postgres.url.replace("127.0.0.1", host)}?${parameters}`;

  beforeAll(async () => {
    certificates.makeAuthority("ca");
    certificates.makeAuthority("other-ca");
    certificates.issue("server", "ca", "DNS:localhost");
    certificates.issue("client", "ca", "DNS:client");
    postgres = await OwnPostgres.start({
      certificate: readFileSync(file("server.crt"), "utf8"),
      key: readFileSync(file("server.key"), "utf8"),
      authority: readFileSync(file("ca.crt"), "utf8"),
    });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await postgres.stop();
    certificates.remove();
  });

  test.each([
    ["require believes any certificate", "127.0.0.1", "sslmode=require"],
    [
      "require and channel_binding, as providers write them, works",
      "localhost",
      "sslmode=require&channel_binding=require",
    ],
    [
      "verify-full believes the host that the certificate names",
      "localhost",
      "sslmode=verify-full&sslrootcert=CA",
    ],
    ["verify-ca believes any host of the authority", "127.0.0.1", "sslmode=verify-ca&sslrootcert=CA"],
    ["require with an authority believes any host of it", "127.0.0.1", "sslmode=require&sslrootcert=CA"],
  ])("%s", async (_, host, parameters) => {
    expect(await reach(at(host, parameters.replace("CA", file("ca.crt"))))).toEqual({
      tls: true,
      name: null,
    });
  });

  test.each([
    [
      "verify-full refuses another host",
      "127.0.0.1",
      "sslmode=verify-full&sslrootcert=ca.crt",
      /does not match/,
    ],
    ["an authority without a mode refuses another host", "127.0.0.1", "sslrootcert=ca.crt", /does not match/],
    [
      "verify-full refuses another authority",
      "localhost",
      "sslmode=verify-full&sslrootcert=other-ca.crt",
      UNTRUSTED,
    ],
    [
      "verify-ca refuses another authority",
      "localhost",
      "sslmode=verify-ca&sslrootcert=other-ca.crt",
      UNTRUSTED,
    ],
    [
      "require refuses another authority than it names",
      "localhost",
      "sslmode=require&sslrootcert=other-ca.crt",
      UNTRUSTED,
    ],
    ["verify-full refuses an authority that nobody named", "localhost", "sslmode=verify-full", UNTRUSTED],
  ])("%s", async (_, host, parameters, reason) => {
    const url = at(host, parameters.replace("sslrootcert=", `sslrootcert=${directory}/`));
    expect(String(await errorOf(reach(url)))).toMatch(reason);
  });

  test("of an authority that nobody named hop says how to name it", async () => {
    const { code, output } = await runHop(["doctor"], {
      HOP_DATABASE_URL: at("localhost", "sslmode=verify-full"),
    });
    expect(output).toMatch(
      /^fail {2}database +HOP_DATABASE_URL: the certificate of Postgres is not trusted \(.+\); name its authority in the URL: sslrootcert=\/path\/to\/ca\.pem$/m,
    );
    expect(code).toBe(1);
  });

  test("hop shows its own certificate", async () => {
    const own = `sslmode=require&sslcert=${file("client.crt")}&sslkey=${file("client.key")}`;
    expect(await reach(at("localhost", own))).toEqual({ tls: true, name: "/CN=client" });
  });

  test.each([
    ["a file that is not there", "sslmode=verify-full&sslrootcert=nix.crt", /ENOENT/],
    ["a file that is no certificate", "sslmode=verify-full&sslrootcert=server.ext", /Invalid CA/],
    [
      "a key of another certificate",
      "sslmode=require&sslcert=client.crt&sslkey=server.key",
      /KEY_VALUES_MISMATCH/,
    ],
  ])("%s is refused before anybody connects", (_, parameters, reason) => {
    const url = at("localhost", parameters.replaceAll(/(ssl(?:rootcert|cert|key))=/g, `$1=${directory}/`));
    expect(() => databaseAddress("HOP_DATABASE_READ_URL", url)).toThrow(reason);
    expect(() => databaseAddress("HOP_DATABASE_READ_URL", url)).toThrow(
      /^HOP_DATABASE_READ_URL: its certificates cannot be used .*; correct sslrootcert, sslcert and sslkey$/,
    );
  });
});

test(
  "at a Unix socket hop serves and counts, by either spelling",
  async () => {
    const database = await createTestDatabase();
    try {
      const { path, username, password, database: name } = database.connection;
      const directory = path.replace(/\/\.s\.PGSQL\.\d+$/, "");
      const who = `${username}:${encodeURIComponent(password)}`;
      expect(await reach(`postgres://${who}@/${name}?host=${directory}&sslmode=require`)).toMatchObject({
        tls: false,
      });
      const url = `postgres://${who}@${encodeURIComponent(directory)}/${name}`;
      const hop = await startHop({ HOP_DATABASE_URL: url });
      const link = { url: "https://example.com/socket", code: "socket" };
      expect((await hop.api("POST", "/api/v1/links", link)).status).toBe(201);
      expect((await hop.api("GET", "/socket")).status).toBe(302);
      const stats = await hop.api("GET", "/api/v1/links/socket/stats");
      expect(await stats.json()).toMatchObject({ total: 1 });
      expect(await hop.kill("SIGTERM")).toBe(0);
    } finally {
      await database.drop();
    }
  },
  TIMEOUT_MS,
);
