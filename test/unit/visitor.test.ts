// What hop makes of a visitor's address: a hash for the day and a country, and nothing that leads back to a person.

import { beforeAll, describe, expect, test } from "bun:test";
import { chmod, copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { CountryReader, visitorHash } from "../../src/clicks/visitor.ts";
import { Memo } from "../../src/lib/memo.ts";

const DATABASE = "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb";
const SALT = "07".repeat(32);
const OTHER_SALT = "08".repeat(32);

/** The error that opening `path` as a country database ends in. */
function failure(path: string): unknown {
  try {
    return CountryReader.open({ path });
  } catch (error) {
    return error;
  }
}

describe("a visitor's hash", () => {
  test("is the first 64 bits of SHA-256 over salt, address and user agent", () => {
    const digest = new Bun.CryptoHasher("sha256").update(`${SALT}\n192.0.2.1\nMozilla/5.0`).digest();
    expect(visitorHash(SALT, "192.0.2.1", "Mozilla/5.0")).toBe(digest.readBigInt64BE(0));
  });

  test("is the same for the same visitor and another for another address, agent or day", () => {
    const hash = visitorHash(SALT, "192.0.2.1", "Mozilla/5.0");
    expect(visitorHash(SALT, "192.0.2.1", "Mozilla/5.0")).toBe(hash);
    const others = [
      visitorHash(OTHER_SALT, "192.0.2.1", "Mozilla/5.0"),
      visitorHash(SALT, "192.0.2.2", "Mozilla/5.0"),
      visitorHash(SALT, "192.0.2.1", "Mozilla/5.1"),
      visitorHash(SALT, "192.0.2.1", ""),
      visitorHash(SALT, "", "192.0.2.1Mozilla/5.0"),
    ];
    expect(new Set([hash, ...others]).size).toBe(6);
  });

  test("fits a Postgres bigint and repeats itself for any header", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytes.toHex()),
        fc.ipV4(),
        fc.string({ unit: "binary" }),
        (salt, ip, agent) => {
          const hash = visitorHash(salt, ip, agent);
          expect(BigInt.asIntN(64, hash)).toBe(hash);
          expect(visitorHash(salt, ip, agent)).toBe(hash);
        },
      ),
    );
  });

  test("does not collide among 100,000 addresses", () => {
    const hashes = new Set<bigint>();
    for (let i = 0; i < 100_000; i++) {
      hashes.add(visitorHash(SALT, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, "Mozilla/5.0"));
    }
    expect(hashes.size).toBe(100_000);
  });
});

describe("a memo", () => {
  test("never holds more than twice its entries, and answers only what was put in", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8 }),
        fc.array(fc.nat(30), { maxLength: 200 }),
        (entries, keys) => {
          const memo = new Memo<number>(entries);
          for (const key of keys) {
            const known = memo.get(String(key));
            expect(known === undefined || known === key).toBe(true);
            memo.set(String(key), key);
            expect(memo.get(String(key))).toBe(entries === 0 ? undefined : key);
            expect(memo.size).toBeLessThanOrEqual(2 * entries);
          }
        },
      ),
    );
  });

  test("keeps what is in use through a flood of new keys", () => {
    const memo = new Memo<string>(10);
    memo.set("in use", "kept");
    for (let i = 0; i < 1000; i++) {
      memo.set(`flood ${i}`, "");
      expect(memo.get("in use")).toBe("kept");
    }
    expect(memo.get("flood 0")).toBeUndefined();
  });
});

describe("a country", () => {
  let countries: CountryReader;
  beforeAll(() => {
    countries = CountryReader.open({ entries: 100 });
  });

  test.each([
    ["8.8.8.8", "US"],
    ["::ffff:8.8.8.8", "US"],
    ["2001:4860:4860::8888", "US"],
    ["193.0.6.139", "NL"],
    ["133.11.0.1", "JP"],
  ])("of %p is %p", (ip, country) => {
    expect(countries.country(ip)).toBe(country);
    expect(countries.country(ip)).toBe(country);
  });

  test("is known to a process that may read the database and not write it", async () => {
    const directory = await mkdtemp(join(tmpdir(), "hop-countries-"));
    try {
      const path = join(directory, "countries.mmdb");
      await copyFile(fileURLToPath(import.meta.resolve(DATABASE)), path);
      await chmod(path, 0o444);
      const module = fileURLToPath(new URL("../../src/clicks/visitor.ts", import.meta.url));
      const script = `const { CountryReader } = await import(${JSON.stringify(module)});
        console.log(CountryReader.open({ path: ${JSON.stringify(path)} }).country("8.8.8.8"));`;
      // root may write everything, unless it gives that up.
      const unprivileged = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override"] : [];
      const child = Bun.spawn([...unprivileged, process.execPath, "-e", script], { stderr: "inherit" });
      expect(await new Response(child.stdout).text()).toBe("US\n");
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test.each([
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.1.1",
    "0.0.0.0",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "192.0.2.1",
    "1.2.3",
    "8.8.8.8.8",
    "256.8.8.8",
    "",
    "garbage",
    "8.8.8.8\0",
    "__proto__",
    "::ffff:10.0.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "2001:db8::1",
    "ff02::1",
  ])("of %p is ZZ", (ip) => {
    expect(countries.country(ip)).toBe("ZZ");
  });

  test("is two capitals for any address and any text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ unit: "binary" })), (ip) => {
        expect(countries.country(ip)).toMatch(/^[A-Z]{2}$/);
      }),
      { numRuns: 1000 },
    );
  });

  test("database that is missing or damaged is reported when it is opened", async () => {
    expect(failure("/nonexistent/country.mmdb")).toMatchObject({ code: "ENOENT" });
    expect(failure(import.meta.path)).toBeInstanceOf(Error);
  });
});
