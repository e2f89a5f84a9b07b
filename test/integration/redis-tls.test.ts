// Redis over TLS, by an authority of one's own: believed when it is named, and a clear word when it is not.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readLedger } from "../helpers/click-audit.ts";
import { Certificates } from "../helpers/certificates.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { freePort, startHop, startWork, runHop } from "../helpers/hop-process.ts";
import { TestRedis } from "../helpers/redis.ts";
import { waitFor } from "../helpers/wait-for.ts";

const TIMEOUT_MS = 60_000;
const CLICKS = 20;

const certificates = new Certificates();
let database: TestDatabase;
let redis: TestRedis;
let env: Record<string, string>;

beforeAll(async () => {
  certificates.makeAuthority("ca");
  certificates.issue("redis", "ca", "DNS:localhost");
  const port = await freePort();
  const tls = ["--tls-port", String(port), "--tls-auth-clients", "no"];
  const files = { "tls-ca-cert-file": "ca.crt", "tls-cert-file": "redis.crt", "tls-key-file": "redis.key" };
  const named = Object.entries(files).flatMap(([name, file]) => [`--${name}`, certificates.path(file)]);
  redis = await TestRedis.start({ fsync: "everysec", arguments: [...tls, ...named] });
  database = await createTestDatabase();
  env = {
    HOP_DATABASE_URL: database.url,
    HOP_REDIS_URL: `rediss://localhost:${port}`,
    HOP_REDIS_TIMEOUT_MS: "5000",
  };
}, TIMEOUT_MS);

afterAll(async () => {
  await redis.stop();
  await database.drop();
  certificates.remove();
});

test(
  "clicks go through a Redis that speaks TLS, and none is lost or spooled",
  async () => {
    const trusting = { ...env, HOP_CLICKS_WAIT_MS: "5000", NODE_EXTRA_CA_CERTS: certificates.path("ca.crt") };
    const [hop, worker] = await Promise.all([startHop(trusting), startWork(trusting)]);
    expect(
      (await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "tls" })).status,
    ).toBe(201);
    await Promise.all(
      Array.from({ length: CLICKS }, async () => expect((await hop.api("GET", "/tls")).status).toBe(302)),
    );
    expect(await hop.metric('hop_clicks_total{stage="streamed"}')).toBe(CLICKS);
    expect(await hop.metric('hop_clicks_total{stage="spooled"}')).toBe(0);
    const stored = () => worker.metric('hop_clicks_total{stage="stored"}');
    await waitFor("the clicks to be stored", async () => (await stored()) === CLICKS);
    expect(await redis.client.client("LIST")).toMatch(/name=hop-clicks /);
    expect(await hop.kill("SIGTERM")).toBe(0);
    await waitFor("the goodbye to be stored", async () => (await redis.client.xlen("hop:clicks:{0}")) === 0);
    expect(await worker.kill("SIGTERM")).toBe(0);
    expect(await readLedger(trusting)).toMatchObject({ verdict: "balanced", storedClicks: CLICKS });
  },
  TIMEOUT_MS,
);

test(
  "an authority that nobody named is not believed, and hop says how to name it",
  async () => {
    const { code, output } = await runHop(["doctor"], env);
    expect(output).toMatch(
      /^fail {2}redis .*certificate.*start hop with NODE_EXTRA_CA_CERTS=\/path\/to\/ca\.pem/m,
    );
    expect(code).toBe(1);
  },
  TIMEOUT_MS,
);
