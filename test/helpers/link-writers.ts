// Clients that create, edit and delete links, and remember what was promised to them: the judge of "an answered write survives".
import { z } from "zod";
import type { Random } from "./fault-test.ts";
import type { HopProcess } from "./hop-process.ts";

const contentSchema = z.object({
  url: z.string(),
  title: z.string().nullable(),
  tags: z.array(z.string()),
  status: z.number(),
});
type Content = z.infer<typeof contentSchema>;

const pageSchema = z.object({
  items: z.array(contentSchema.extend({ code: z.string() })),
  nextCursor: z.string().nullable(),
});
const createdSchema = z.object({ code: z.string() });

/** A link that was promised. After an edit without an answer two contents are right, and it is left alone. */
interface Promised {
  readonly code: string;
  /** Undefined is a deleted link. */
  allowed: readonly (Content | undefined)[];
}

interface Create {
  readonly body: Content & { readonly code?: string };
  readonly headers: Record<string, string>;
}

const PAUSE_MS = 5;
const PATIENCE_MS = 15_000;

/** Each writer touches its own links only, one after the other, so that what must be stored is known. */
export class LinkWriters {
  /** Answers that no fault excuses. */
  readonly surprises: string[] = [];
  readonly counts = { creates: 0, edits: 0, deletes: 0, unanswered: 0 };
  readonly #random: Random;
  readonly #links: Promised[][];
  /** Creates with an Idempotency-Key and no answer yet: they are repeated until there is one. */
  readonly #owed: Create[] = [];
  #running: Promise<void>[] = [];
  #stopping = false;
  #created = 0;

  constructor(writers: number, random: Random) {
    this.#random = random;
    this.#links = Array.from({ length: writers }, () => []);
  }

  get answered(): number {
    return this.counts.creates + this.counts.edits + this.counts.deletes;
  }

  start(hop: HopProcess): void {
    this.#stopping = false;
    this.#running = this.#links.map((links) => this.#write(hop, links, this.#random.fork()));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  /** Sentences, one for each promise that is broken. */
  async findMissing(hop: HopProcess): Promise<string[]> {
    const problems: string[] = [];
    const found = new Map<string, string>();
    const urls = new Set<string>();
    for (let cursor: string | null = ""; cursor !== null;) {
      const query = cursor === "" ? "" : `&cursor=${cursor}`;
      const page = pageSchema.parse(await (await hop.api("GET", `/api/v1/links?limit=100${query}`)).json());
      for (const { code, ...content } of page.items) {
        found.set(code, JSON.stringify(content));
        if (urls.has(content.url)) problems.push(`${content.url} was made twice`);
        urls.add(content.url);
      }
      cursor = page.nextCursor;
    }
    for (const { code, allowed } of this.#links.flat()) {
      const stored = found.get(code);
      if (!allowed.some((content) => (content && JSON.stringify(content)) === stored))
        problems.push(`${code} is ${stored ?? "not listed"}, promised was ${JSON.stringify(allowed)}`);
      if (allowed.length === 1 && allowed[0] === undefined) {
        const { status } = await hop.api("GET", `/${code}`);
        if (status !== 410) problems.push(`${code} was deleted, but answers ${status}`);
      }
    }
    return problems;
  }

  async #write(hop: HopProcess, links: Promised[], random: Random): Promise<void> {
    while (!this.#stopping) {
      const owed = this.#owed.pop();
      const choice = random.next();
      const mine = links.filter(({ allowed }) => allowed.length === 1 && allowed[0] !== undefined);
      const link = mine[random.integer(0, Math.max(0, mine.length - 1))];
      if (owed !== undefined) await this.#create(hop, links, owed);
      else if (link === undefined || choice < 0.6) await this.#create(hop, links, this.#newLink(random));
      else if (choice < 0.9) await this.#edit(hop, link, random);
      else await this.#delete(hop, link);
    }
  }

  #newLink(random: Random): Create {
    const number = this.#created++;
    const body = {
      url: `https://example.com/${number}?made`,
      title: random.pick([null, `Link ${number}`]),
      tags: random.pick([[], ["a"], ["a", "b"]]),
      status: random.pick([301, 302, 307, 308]),
    };
    return random.pick<Create>([
      { body, headers: {} },
      { body: { ...body, code: `chosen-${number}` }, headers: {} },
      { body, headers: { "Idempotency-Key": `key-${number}` } },
    ]);
  }

  async #create(hop: HopProcess, links: Promised[], create: Create): Promise<void> {
    const { code: chosen, ...content } = create.body;
    const answer = await this.#ask(hop, "POST", "/api/v1/links", 201, create.body, create.headers);
    if (answer !== undefined) {
      this.counts.creates++;
      links.push({ code: createdSchema.parse(answer).code, allowed: [content] });
      return;
    }
    if (create.headers["Idempotency-Key"] !== undefined) this.#owed.push(create);
    else if (chosen !== undefined) links.push({ code: chosen, allowed: [content, undefined] });
  }

  async #edit(hop: HopProcess, link: Promised, random: Random): Promise<void> {
    const [before] = link.allowed;
    if (before === undefined) throw new Error(`${link.code} is deleted`);
    const [url] = before.url.split("?");
    const change = {
      url: `${url}?edit=${random.integer(0, 1e9)}`,
      title: `Edited ${random.integer(0, 1e9)}`,
    };
    const answer = await this.#ask(hop, "PATCH", `/api/v1/links/${link.code}`, 200, change);
    const after = { ...before, ...change };
    link.allowed = answer === undefined ? [before, after] : [after];
    if (answer !== undefined) this.counts.edits++;
  }

  async #delete(hop: HopProcess, link: Promised): Promise<void> {
    const answer = await this.#ask(hop, "DELETE", `/api/v1/links/${link.code}`, 204);
    link.allowed = answer === undefined ? [...link.allowed, undefined] : [undefined];
    if (answer !== undefined) this.counts.deletes++;
  }

  /** The body of a success; undefined when it is not known whether the write happened. */
  async #ask(
    hop: HopProcess,
    method: string,
    path: string,
    success: number,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<unknown> {
    const startedAtMs = performance.now();
    try {
      const answer = await hop.api(method, path, body, headers);
      const text = await answer.text();
      if (answer.status === success) return text === "" ? {} : JSON.parse(text);
      const excused = answer.status === 503 && answer.headers.has("retry-after");
      if (!excused) this.surprises.push(`${method} ${path} answered ${answer.status}: ${text}`);
    } catch (error) {
      // The connection broke. Anything else is a mistake in this test.
      if (!(error instanceof Error) || !("code" in error)) throw error;
    }
    const tookMs = performance.now() - startedAtMs;
    if (tookMs > PATIENCE_MS) this.surprises.push(`${method} ${path} had no answer for ${tookMs} ms`);
    this.counts.unanswered++;
    await Bun.sleep(PAUSE_MS);
    return undefined;
  }
}
