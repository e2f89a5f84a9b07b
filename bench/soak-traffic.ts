// What the public of a soak asks for: popular links, new links, and whether every answer is the right one.
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { z } from "zod";
import type { Reply, Unanswered } from "./connection.ts";
import type { Exchange } from "./open-loop.ts";

export interface TrafficOptions {
  /** "127.0.0.1:8080" */
  readonly host: string;
  readonly apiKey: string;
  /** Of all requests, those that make a link: 0 to 1. */
  readonly createShare: number;
  readonly agents: readonly string[];
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

interface KnownLink {
  readonly code: string;
  readonly target: string;
  asked: boolean;
}

const NS_PER_MS = 1e6;
/** Of wrong answers, for the report. */
const EXAMPLES = 5;

const createdSchema = z.object({ code: z.string().min(1), url: z.string() });

export class Traffic {
  readonly redirects = { sent: 0, received: 0 };
  readonly creates = { sent: 0, made: 0 };
  /** Links that were asked for at least once: what a cache may have learnt. */
  asked = 0;
  /** Requests without the answer that they should have, by what came instead. */
  readonly failures = new Map<string, number>();
  /** Answers of the right kind with the wrong content: the first few, and how many. */
  readonly wrong: string[] = [];
  wrongCount = 0;
  /** Nanoseconds from when a redirect was due to its answer. */
  readonly latency: RecordableHistogram = createHistogram();
  /** The same of creates. */
  readonly createLatency: RecordableHistogram = createHistogram();
  /** Nanoseconds by which the generator itself was late, which the latencies contain. */
  readonly late: RecordableHistogram = createHistogram();
  readonly #options: TrafficOptions;
  readonly #links = new Popularity<KnownLink>();
  #targets = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
  }

  get links(): number {
    return this.#links.size;
  }

  /** What was measured so far was a preparation. */
  forgetTimes(): void {
    for (const histogram of [this.latency, this.createLatency, this.late]) histogram.reset();
  }

  next(): Exchange {
    const { random, createShare } = this.#options;
    return random() < createShare ? this.create() : this.#follow();
  }

  create(): Exchange {
    const { host, apiKey } = this.#options;
    const target = `https://example.com/articles/${++this.#targets}?from=soak`;
    const body = JSON.stringify({ url: target });
    this.creates.sent++;
    return {
      request:
        `POST /api/v1/links HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${apiKey}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      done: (reply, latencyMs, lateMs) => {
        record(this.createLatency, latencyMs);
        record(this.late, lateMs);
        this.#noteCreated(reply, target);
      },
    };
  }

  #follow(): Exchange {
    const { host, agents, random } = this.#options;
    const link = this.#links.draw(random());
    if (!link.asked) this.asked++;
    link.asked = true;
    this.redirects.sent++;
    const agent = agents[this.redirects.sent % agents.length] ?? "soak";
    return {
      request: `GET /${link.code} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${agent}\r\nAccept: */*\r\n\r\n`,
      done: (reply, latencyMs, lateMs) => {
        record(this.latency, latencyMs);
        record(this.late, lateMs);
        this.#noteRedirect(reply, link);
      },
    };
  }

  #noteCreated(reply: Reply | Unanswered, target: string): void {
    if (typeof reply === "string" || reply.status !== 201) return this.#fail("create", reply);
    const made = createdSchema.safeParse(parseJson(reply.body));
    if (made.data?.url !== target) return this.#noteWrong(`a create for ${target} answered ${reply.body}`);
    this.creates.made++;
    this.#links.add({ code: made.data.code, target, asked: false }, this.#options.random());
  }

  #noteRedirect(reply: Reply | Unanswered, { code, target }: KnownLink): void {
    if (typeof reply === "string" || reply.status !== 302) return this.#fail("redirect", reply);
    this.redirects.received++;
    if (reply.location !== target) this.#noteWrong(`${code} led to ${reply.location}, not to ${target}`);
  }

  #fail(kind: string, reply: Reply | Unanswered): void {
    const what = `${kind} ${typeof reply === "string" ? reply : reply.status}`;
    this.failures.set(what, (this.failures.get(what) ?? 0) + 1);
  }

  #noteWrong(sentence: string): void {
    this.wrongCount++;
    if (this.wrong.length < EXAMPLES) this.wrong.push(sentence);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

function record(histogram: RecordableHistogram, ms: number): void {
  // A histogram holds whole numbers from 1.
  histogram.record(Math.max(1, Math.round(ms * NS_PER_MS)));
}

/** Things by popularity, more of them all the time: the one at rank r is drawn in proportion to 1 / r (Zipf's law, exponent 1). */
export class Popularity<T> {
  readonly #ranked: T[] = [];
  /** Sums of 1 / rank up to each rank. */
  readonly #sums: number[] = [];

  get size(): number {
    return this.#ranked.length;
  }

  /** The new one takes any rank; who had it becomes the least popular. So new links become popular, and old ones are forgotten. */
  add(thing: T, random: number): void {
    const rank = Math.floor(random * (this.#ranked.length + 1));
    const before = this.#ranked[rank];
    this.#ranked[rank] = thing;
    if (before !== undefined) this.#ranked.push(before);
    this.#sums.push((this.#sums.at(-1) ?? 0) + 1 / this.#ranked.length);
  }

  /** @throws RangeError when there are none */
  draw(random: number): T {
    const limit = random * (this.#sums.at(-1) ?? 0);
    let [low, high] = [0, this.#sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sums[middle] ?? 0) > limit) high = middle;
      else low = middle + 1;
    }
    const drawn = this.#ranked[low];
    if (drawn === undefined) throw new RangeError("nothing to draw from");
    return drawn;
  }
}
