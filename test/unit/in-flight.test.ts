// The bound on API requests that are answered at once.
import { expect, test } from "bun:test";
import { Hono } from "hono";
import { limitInFlight } from "../../src/http/in-flight.ts";
import { problemResponse } from "../../src/http/problem.ts";

test("as many as the bound are answered at once, more get 503 at once, and room is made by answers and by failures", async () => {
  const gate = Promise.withResolvers<undefined>();
  const app = new Hono();
  app.use(limitInFlight(3));
  app.get("/wait", async (c) => {
    await gate.promise;
    return c.text("done");
  });
  app.get("/fail", () => {
    throw new Error("a bug");
  });
  app.onError((error) => problemResponse(error, "r-1"));

  for (let count = 0; count < 10; count++) expect((await app.request("/fail")).status).toBe(500);
  const waiting = Array.from({ length: 3 }, () => Promise.resolve(app.request("/wait")));
  const refused = await app.request("/wait");
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
  gate.resolve(undefined);
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await app.request("/wait")).status).toBe(200);
});
