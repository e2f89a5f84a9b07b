// The judge of the soak: what it calls right must be right, and what is wrong must be found.
import { describe, expect, test } from "bun:test";
import { type Reply, readReply } from "../../bench/connection.ts";
import { runOpenLoop } from "../../bench/open-loop.ts";
import { splitCores } from "../../bench/pinning.ts";
import {
  judgeSoak,
  LINK_BYTES,
  memoryIsFlat,
  MOST_GROWTH_BYTES,
  type SoakFacts,
} from "../../bench/soak-laws.ts";
import { Popularity, Traffic } from "../../bench/soak-traffic.ts";
import { seededRandom } from "../../bench/workload.ts";

const MIB = 2 ** 20;

/** A hundred samples, a minute apart. */
function samples(bytesAt: (minute: number) => number, linksAt: (minute: number) => number = () => 0) {
  return Array.from({ length: 100 }, (_, minute) => ({
    atMs: minute * 60_000,
    bytes: bytesAt(minute),
    links: linksAt(minute),
  }));
}

function facts(changes: Partial<SoakFacts> = {}): SoakFacts {
  const sums = { redirects: { sent: 9, received: 9 }, creates: { sent: 2, made: 2 } };
  return {
    traffic: { ...sums, failures: new Map(), wrong: [], wrongCount: 0 },
    counted: 9,
    ledger: { verdict: "balanced", storedClicks: 9, dropped: {}, reasons: [] },
    memory: {},
    ...changes,
  };
}

function brokenIn(changes: Partial<SoakFacts>): string[] {
  return judgeSoak(facts(changes)).flatMap(({ name, holds }) => (holds ? [] : [name]));
}

function traffic(createShare = 0): Traffic {
  const [host, apiKey] = ["127.0.0.1:1", "key"];
  return new Traffic({ host, apiKey, createShare, agents: ["agent"], random: seededRandom(1) });
}

/** What a garbage collector does. */
function saw(minute: number): number {
  return 100 * MIB + (minute % 7) * 5 * MIB;
}

/** A link made through the traffic's own create. */
function made(subject: Traffic, code: string): void {
  const create = subject.create();
  const url: unknown = JSON.parse(create.request.split("\r\n\r\n")[1] ?? "").url;
  create.done({ status: 201, location: undefined, body: JSON.stringify({ code, url }) }, 1, 0);
}

const found = (location: string): Reply => ({ status: 302, location, body: "" });

describe("laws of a soak", () => {
  test("a run without fault breaks none", () => {
    expect(brokenIn({})).toEqual([]);
  });

  test("a request that failed or was never answered breaks one", () => {
    const { traffic: whole } = facts();
    const failures = new Map([["redirect 503", 1]]);
    expect(brokenIn({ traffic: { ...whole, failures } })).toEqual(["errors"]);
    expect(brokenIn({ traffic: { ...whole, creates: { sent: 3, made: 2 } } })).toEqual(["errors"]);
  });

  test("a redirect to somewhere else breaks one, and is shown", () => {
    const { traffic: whole } = facts();
    const wrong = { ...whole, wrong: ["a led to b, not to c"], wrongCount: 1 };
    const law = judgeSoak(facts({ traffic: wrong })).find(({ name }) => name === "answers");
    expect(law).toEqual({ name: "answers", holds: false, seen: "1 wrong; a led to b, not to c" });
  });

  test("a click that was lost, doubled or dropped breaks one", () => {
    const { ledger } = facts();
    expect(brokenIn({ ledger: { ...ledger, storedClicks: 8 } })).toEqual(["counts", "ledger"]);
    expect(brokenIn({ ledger: { ...ledger, storedClicks: 10 } })).toEqual(["counts", "ledger"]);
    expect(brokenIn({ ledger: { ...ledger, storedClicks: 8, dropped: { full: 1 } } })).toEqual(["counts"]);
    expect(brokenIn({ ledger: { ...ledger, verdict: "undecided" } })).toEqual(["ledger"]);
    expect(brokenIn({ counted: 10 })).toEqual(["counts"]);
  });
});

describe("memory that is flat", () => {
  test("what grows at first, and peaks, are allowed", () => {
    const growsFirst = samples((minute) => Math.min(minute, 40) * 10 * MIB);
    const peaks = samples((minute) => (minute % 10 === 0 ? 900 : 100) * MIB);
    for (const memory of [growsFirst, peaks]) expect(memoryIsFlat("hop", memory).holds).toBe(true);
  });

  test("a leak is found under the noise of a garbage collector", () => {
    const leak = (MOST_GROWTH_BYTES * 2.2) / 100;
    expect(memoryIsFlat("hop", samples(saw)).holds).toBe(true);
    expect(
      memoryIsFlat(
        "hop",
        samples((minute) => saw(minute) + minute * leak),
      ).holds,
    ).toBe(false);
    expect(brokenIn({ memory: { hop: samples((minute) => saw(minute) + minute * leak) } })).toEqual([
      "memory of hop",
    ]);
  });

  test("a process may remember links that it is asked for the first time", () => {
    const perMinute = 100_000;
    const growing = (bytes: number) =>
      samples(
        () => 0,
        () => 0,
      ).map((sample, minute) => ({
        ...sample,
        bytes: minute * perMinute * bytes,
        links: minute * perMinute,
      }));
    expect(memoryIsFlat("hop", growing(LINK_BYTES / 2)).holds).toBe(true);
    expect(memoryIsFlat("hop", growing(LINK_BYTES * 2)).holds).toBe(false);
  });
});

describe("traffic", () => {
  test("a redirect counts when it leads where the link was made for", () => {
    const subject = traffic();
    made(subject, "abc");
    const right = subject.next();
    expect(right.request).toStartWith("GET /abc HTTP/1.1\r\n");
    right.done(found("https://example.com/articles/1?from=soak"), 1, 0);
    expect(subject).toMatchObject({ redirects: { sent: 1, received: 1 }, wrongCount: 0, asked: 1 });
    subject.next().done(found("https://example.com/articles/2?from=soak"), 1, 0);
    expect(subject.wrong).toEqual([
      "abc led to https://example.com/articles/2?from=soak, not to https://example.com/articles/1?from=soak",
    ]);
  });

  test("what is no redirect is a failure by its name", () => {
    const subject = traffic();
    made(subject, "abc");
    subject.next().done({ status: 503, location: undefined, body: "" }, 1, 0);
    subject.next().done("hung", 1, 0);
    subject.create().done({ status: 201, location: undefined, body: "<html>" }, 1, 0);
    expect([...subject.failures.keys()]).toEqual(["redirect 503", "redirect hung"]);
    expect(subject.wrongCount).toBe(1);
    expect(subject.creates).toEqual({ sent: 2, made: 1 });
  });

  test("new links become popular, by Zipf's law", () => {
    const random = seededRandom(1);
    const popularity = new Popularity<number>();
    for (let n = 1; n <= 1_000; n++) popularity.add(n, random());
    const drawn = new Map<number, number>();
    for (let n = 0; n < 100_000; n++) {
      const thing = popularity.draw(random());
      drawn.set(thing, (drawn.get(thing) ?? 0) + 1);
    }
    const counts = [...drawn.values()].toSorted((a, b) => b - a);
    // 1 / H(1000) = 13.4 %, and half of that for the second.
    expect((counts[0] ?? 0) / 100_000).toBeCloseTo(0.134, 2);
    expect((counts[1] ?? 0) / 100_000).toBeCloseTo(0.067, 2);
    popularity.add(0, 0);
    expect(popularity.draw(0)).toBe(0);
    expect(new Set(Array.from({ length: 20_000 }, () => popularity.draw(random()))).size).toBeGreaterThan(
      800,
    );
  });
});

describe("the client", () => {
  test("a reply is read when it is whole, and not before", () => {
    const text = 'HTTP/1.1 201 Created\r\nlocation: /x\r\nContent-Length: 4\r\n\r\n{"a"';
    expect(readReply(text.slice(0, -1))).toBeUndefined();
    expect(readReply(text.slice(0, 30))).toBeUndefined();
    const reply = { status: 201, location: "/x", body: '{"a"' };
    expect(readReply(`${text}HTTP/1.1`)).toEqual({ reply, length: text.length, last: false });
    expect(readReply("HTTP/1.1 302 Found\r\nConnection: close\r\n\r\n")?.last).toBe(true);
  });

  test("what waited because a server stood still counts from when it was due", async () => {
    const STILL_MS = 400;
    let stillUntilMs: number | undefined;
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async () => {
        stillUntilMs ??= performance.now() + STILL_MS;
        await Bun.sleep(Math.max(0, stillUntilMs - performance.now()));
        return new Response(null);
      },
    });
    try {
      const latencies: number[] = [];
      await runOpenLoop({
        url: `http://127.0.0.1:${server.port}`,
        perSecond: 1_000,
        seconds: 0.5,
        random: seededRandom(1),
        next: () => ({
          request: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
          done: (_reply, latencyMs) => latencies.push(latencyMs),
        }),
        signal: new AbortController().signal,
      });
      // Who waits for an answer before asking again would have seen one slow answer.
      expect(latencies.length).toBeGreaterThan(400);
      expect(latencies.filter((ms) => ms > STILL_MS / 2).length).toBeGreaterThan(120);
    } finally {
      await server.stop(true);
    }
  });

  test("what is measured gets the first core, the rest is for what measures", () => {
    expect(splitCores("0-1")).toEqual({ measured: "0", measuring: "1" });
    expect(splitCores("2,4-6")).toEqual({ measured: "2", measuring: "4,5,6" });
    expect(splitCores("3")).toBeUndefined();
    expect(splitCores("")).toBeUndefined();
  });
});
