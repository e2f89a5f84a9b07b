// A circuit breaker: open at the first failure, closed by a probe of its own.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Breaker } from "../../src/lib/breaker.ts";
import { waitFor } from "../helpers/wait-for.ts";

let breaker: Breaker;
let well = false;
let probes = 0;
let seen: string[] = [];

beforeEach(() => {
  [well, probes, seen] = [false, 0, []];
  breaker = new Breaker({
    probe: async () => {
      probes++;
      if (!well) throw new Error("still ill");
    },
    probeEveryMs: 2,
    onOpen: ({ message }) => seen.push(`open: ${message}`),
    onClose: () => seen.push("closed"),
  });
});
afterEach(() => breaker.close());

describe("a breaker", () => {
  test("is closed, and probes nothing, until something fails", async () => {
    await Bun.sleep(10);
    expect([breaker.isOpen, probes, seen]).toEqual([false, 0, []]);
  });

  test("opens at the first failure and stays open while probes fail", async () => {
    breaker.fail(new Error("too slow"));
    expect(breaker.isOpen).toBe(true);
    breaker.fail(new Error("too slow again"));
    await waitFor("some probes", () => probes > 3);
    expect([breaker.isOpen, seen]).toEqual([true, ["open: too slow"]]);
  });

  test("closes by itself when a probe succeeds, and may open again", async () => {
    for (let round = 1; round <= 3; round++) {
      well = false;
      breaker.fail(new Error("gone"));
      expect(breaker.isOpen).toBe(true);
      well = true;
      await waitFor("it to close", () => !breaker.isOpen);
      expect(seen).toHaveLength(2 * round);
    }
    const before = probes;
    await Bun.sleep(10);
    expect(probes).toBe(before);
    expect(seen.slice(-2)).toEqual(["open: gone", "closed"]);
  });

  test("probes no more once it is ended, and does not open again", async () => {
    breaker.fail(new Error("gone"));
    await waitFor("a probe", () => probes > 0);
    await breaker.close();
    const before = probes;
    well = true;
    breaker.fail(new Error("again"));
    await Bun.sleep(10);
    expect([probes, seen]).toEqual([before, ["open: gone"]]);
  });
});
