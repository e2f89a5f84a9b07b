// Readiness: what is down and can be survived degrades, what cannot be survived takes the process out.
import { describe, expect, test } from "bun:test";
import { Health } from "../../src/http/health.ts";

const up = async () => undefined;
const down = async () => {
  throw new Error("away");
};

const dependency = (name: string, survivable: boolean, check: () => Promise<void>) => ({
  name,
  survivable,
  check,
});

async function read(health: Health) {
  const response = await health.ready();
  return { code: response.status, body: await response.json() };
}

describe("a process", () => {
  test("whose dependencies are all up is ready", async () => {
    const health = new Health([dependency("postgres", true, up), dependency("redis", false, up)]);
    expect(await read(health)).toEqual({
      code: 200,
      body: { status: "ready", draining: false, dependencies: { postgres: "up", redis: "up" } },
    });
  });

  test("that survives what is down goes on, degraded", async () => {
    const health = new Health([dependency("postgres", true, down), dependency("redis", true, up)]);
    expect(await read(health)).toEqual({
      code: 200,
      body: { status: "degraded", draining: false, dependencies: { postgres: "down", redis: "up" } },
    });
  });

  test("that cannot do without what is down is not ready", async () => {
    const health = new Health([dependency("postgres", true, down), dependency("redis", false, down)]);
    expect(await read(health)).toMatchObject({
      code: 503,
      body: { status: "not ready", dependencies: { postgres: "down", redis: "down" } },
    });
  });

  test("that drains is not ready, and alive", async () => {
    const health = new Health([dependency("postgres", true, up)]);
    health.drain();
    expect(await read(health)).toMatchObject({ code: 503, body: { status: "not ready", draining: true } });
    expect(health.live().status).toBe(200);
  });
});

test("a thousand probes of a slow dependency ask it once, and the next one asks again", async () => {
  let asked = 0;
  const slow = Promise.withResolvers<undefined>();
  const health = new Health([
    dependency("postgres", true, () => {
      asked++;
      return slow.promise;
    }),
  ]);
  const probes = Array.from({ length: 1_000 }, () => health.ready());
  slow.resolve(undefined);
  expect((await Promise.all(probes)).every(({ status }) => status === 200)).toBe(true);
  expect(asked).toBe(1);
  await health.ready();
  expect(asked).toBe(2);
});
