// Links and Idempotency-Keys in memory: the other implementation of the links domain's ports.
import type { Link, Route } from "../../src/links/link.ts";
import type {
  IdempotencyStore,
  IdempotentCreate,
  IdempotentOutcome,
  LinkChange,
  LinkQuery,
  LinkStore,
  NewLink,
} from "../../src/links/ports.ts";

export class MemoryLinkStore implements LinkStore {
  readonly #links = new Map<string, Omit<Link, "clicks">>();
  readonly #versions = new Map<string, number>();
  #lastVersion = 0;
  readonly #clicksOf: (linkId: number) => number;
  #lastId = 0;

  /** @param clicksOf clicks stored of a link */
  constructor(clicksOf: (linkId: number) => number = () => 0) {
    this.#clicksOf = clicksOf;
  }

  async insert(links: readonly NewLink[]): Promise<readonly (Link | undefined)[]> {
    return links.map(({ chosen: _chosen, ...link }) => {
      if (this.#links.has(link.code)) return undefined;
      const now = new Date();
      const made = { ...link, id: ++this.#lastId, createdAt: now, updatedAt: now, deletedAt: null };
      this.#set(link.code, made);
      return this.#show(made);
    });
  }

  async findRoutes(codes: readonly string[]): Promise<readonly (Route | undefined)[]> {
    return codes.map((code) => {
      const link = this.#links.get(code);
      if (link === undefined) return undefined;
      return {
        linkId: link.id,
        version: this.#versions.get(code) ?? 0,
        target: link.url,
        status: link.status,
        expiresAtMs: link.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
        deleted: link.deletedAt !== null,
      };
    });
  }

  async find(code: string): Promise<Link | undefined> {
    const link = this.#links.get(code);
    return link && this.#show(link);
  }

  async list({ limit, beforeId, text, tag }: LinkQuery): Promise<readonly Link[]> {
    const wanted = text?.toLowerCase() ?? "";
    return [...this.#links.values()]
      .filter((link) => link.deletedAt === null)
      .filter((link) => beforeId === undefined || link.id < beforeId)
      .filter((link) => tag === undefined || link.tags.includes(tag))
      .filter((link) =>
        [link.code, link.title ?? "", link.url].some((part) => part.toLowerCase().includes(wanted)),
      )
      .toSorted((a, b) => b.id - a.id)
      .slice(0, limit)
      .map((link) => this.#show(link));
  }

  async update(code: string, change: LinkChange): Promise<Link | undefined> {
    const link = this.#links.get(code);
    if (link === undefined || link.deletedAt !== null) return undefined;
    const changed = { ...link, ...change, updatedAt: new Date() };
    this.#set(code, changed);
    return this.#show(changed);
  }

  async delete(code: string): Promise<boolean> {
    const link = this.#links.get(code);
    if (link === undefined || link.deletedAt !== null) return false;
    this.#set(code, { ...link, deletedAt: new Date() });
    return true;
  }

  /** Undoes an insert, as the rollback of its transaction would. */
  forget(code: string): void {
    this.#links.delete(code);
  }

  #set(code: string, link: Omit<Link, "clicks">): void {
    this.#links.set(code, link);
    this.#versions.set(code, ++this.#lastVersion);
  }

  #show(link: Omit<Link, "clicks">): Link {
    return { ...link, clicks: this.#clicksOf(link.id) };
  }
}

interface Answer {
  readonly requestHash: Uint8Array;
  readonly link: Link;
  readonly createdAtMs: number;
}

export class MemoryIdempotencyStore implements IdempotencyStore {
  readonly #links: MemoryLinkStore;
  readonly #answers = new Map<string, Answer>();
  /** The last caller of each key; the next waits for it. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(links: MemoryLinkStore) {
    this.#links = links;
  }

  once(
    request: IdempotentCreate,
    create: (store: Pick<LinkStore, "insert">) => Promise<Link>,
  ): Promise<IdempotentOutcome> {
    const id = `${request.apiKeyId} ${request.key}`;
    const before = this.#turns.get(id) ?? Promise.resolve();
    const turn = before.then(() => this.#decide(id, request, create));
    this.#turns.set(
      id,
      turn.catch(() => undefined),
    );
    return turn;
  }

  async #decide(
    id: string,
    request: IdempotentCreate,
    create: (store: Pick<LinkStore, "insert">) => Promise<Link>,
  ): Promise<IdempotentOutcome> {
    const answer = this.#answers.get(id);
    if (answer !== undefined && answer.createdAtMs >= request.sinceMs) {
      if (!Buffer.from(answer.requestHash).equals(request.requestHash)) return { kind: "mismatch" };
      return { kind: "replayed", link: answer.link };
    }
    const link = await this.#allOrNothing(create);
    this.#answers.set(id, { requestHash: request.requestHash, link, createdAtMs: Date.now() });
    return { kind: "created", link };
  }

  async #allOrNothing(create: (store: Pick<LinkStore, "insert">) => Promise<Link>): Promise<Link> {
    const inserted: string[] = [];
    try {
      return await create({
        insert: async (links) => {
          const made = await this.#links.insert(links);
          for (const link of made) if (link !== undefined) inserted.push(link.code);
          return made;
        },
      });
    } catch (error) {
      for (const code of inserted) this.#links.forget(code);
      throw error;
    }
  }
}
