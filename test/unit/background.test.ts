// Loops, pauses and deadlines: what runs beside requests ends when it is told to.
import { describe, expect, test } from "bun:test";
import { DeadlineError, orUnavailable, withDeadline } from "../../src/lib/deadline.ts";
import { interval, repeat } from "../../src/lib/loop.ts";
import { errorOf } from "../helpers/error-of.ts";
import { waitFor } from "../helpers/wait-for.ts";

const AN_HOUR = 3_600_000;
const forever = () => new Promise<never>(() => undefined);

describe("a loop", () => {
  test("runs its work again and again, never twice at once", async () => {
    let running = 0;
    let most = 0;
    let rounds = 0;
    const loop = repeat(
      1,
      async () => {
        most = Math.max(most, ++running);
        await Bun.sleep(2);
        running--;
        rounds++;
      },
      () => undefined,
    );
    await waitFor("five rounds", () => rounds >= 5, { everyMs: 1 });
    await loop.stop();
    expect(most).toBe(1);
  });

  test("goes on after a round that failed, and reports it", async () => {
    const errors: unknown[] = [];
    const loop = repeat(
      1,
      () => Promise.reject(new Error("a bad round")),
      (error) => errors.push(error),
    );
    await waitFor("three failures", () => errors.length >= 3, { everyMs: 1 });
    await loop.stop();
    expect(errors.map(String)).toContain("Error: a bad round");
  });

  test("does nothing before its first interval, and stops in the middle of one", async () => {
    let rounds = 0;
    const loop = repeat(
      AN_HOUR,
      async () => void rounds++,
      () => undefined,
    );
    await loop.stop();
    expect(rounds).toBe(0);
  });

  test("stops only after the round under way, and starts no other", async () => {
    const round = Promise.withResolvers<void>();
    let rounds = 0;
    const loop = repeat(
      1,
      () => {
        rounds++;
        return round.promise;
      },
      () => undefined,
    );
    await waitFor("a round", () => rounds === 1, { everyMs: 1 });
    const stopping = loop.stop();
    await Promise.resolve();
    expect(Bun.peek.status(stopping)).toBe("pending");
    round.resolve();
    await stopping;
    expect(rounds).toBe(1);
  });
});

describe("a pause", () => {
  test("ends true after its time and false at a signal, before or during it", async () => {
    const controller = new AbortController();
    expect(await interval(1, controller.signal)).toBe(true);
    const pause = interval(AN_HOUR, controller.signal);
    controller.abort();
    expect(await pause).toBe(false);
    expect(await interval(AN_HOUR, controller.signal)).toBe(false);
  });
});

describe("a deadline", () => {
  test("lets through what ends in time, good or bad", async () => {
    expect(await withDeadline(Promise.resolve(7), AN_HOUR, "work")).toBe(7);
    expect((await errorOf(withDeadline(Promise.reject(new Error("bad")), AN_HOUR, "work"))).message).toBe(
      "bad",
    );
  });

  test("ends what takes too long, and says what and how long", async () => {
    let stopped = 0;
    const error = await errorOf(withDeadline(forever(), 1, "the work", () => void stopped++));
    expect(error).toBeInstanceOf(DeadlineError);
    expect(error.message).toBe("the work took longer than 1 ms");
    expect(stopped).toBe(1);
  });

  test("keeps a late rejection from becoming an unhandled one", async () => {
    const late = Promise.withResolvers<void>();
    await errorOf(withDeadline(late.promise, 1, "the work"));
    late.reject(new Error("too late to matter"));
    expect(Bun.peek.status(late.promise)).toBe("rejected");
  });

  test("is TEMPORARILY_UNAVAILABLE for callers, and other errors stay what they are", async () => {
    const error = await errorOf(orUnavailable(forever(), 1, "Not now."));
    expect(error).toMatchObject({ code: "TEMPORARILY_UNAVAILABLE", message: "Not now." });
    expect(error.cause).toBeInstanceOf(DeadlineError);
    expect((await errorOf(orUnavailable(Promise.reject(new Error("a bug")), AN_HOUR, "x"))).message).toBe(
      "a bug",
    );
  });
});
