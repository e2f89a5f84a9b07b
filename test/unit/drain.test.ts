// What a process that departs tells its clients.
import { describe, expect, test } from "bun:test";
import { Departure, sayGoodbye } from "../../src/fleet/drain.ts";

const redirect = () => new Response(null, { status: 302 });
const closes = (response: Response) => response.headers.get("Connection") === "close";

describe("an answer says Connection: close", () => {
  test("when it leaves after the departure has begun, though its request came before", async () => {
    const departure = new Departure();
    const { promise, resolve } = Promise.withResolvers<Response>();
    const answer = sayGoodbye(promise, departure);
    departure.begin();
    resolve(redirect());
    expect(closes(await answer)).toBe(true);
  });

  test("when its request comes after the departure has begun", async () => {
    const departure = new Departure();
    departure.begin();
    expect(closes(await sayGoodbye(redirect(), departure))).toBe(true);
    expect(closes(await sayGoodbye(Promise.resolve(redirect()), departure))).toBe(true);
  });

  test("and not before", async () => {
    const departure = new Departure();
    expect(closes(await sayGoodbye(redirect(), departure))).toBe(false);
    expect(closes(await sayGoodbye(Promise.resolve(redirect()), departure))).toBe(false);
  });
});
