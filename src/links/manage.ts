// What an owner does with links: create, read, change, delete, list.
import type { Clock } from "../lib/clock.ts";
import { Coalescer } from "../lib/coalescer.ts";
import { orUnavailable } from "../lib/deadline.ts";
import { AppError, invalid } from "../lib/errors.ts";
import type { CodeGenerator } from "./code.ts";
import type { Link } from "./link.ts";
import type {
  IdempotencyStore,
  IdempotentCreate,
  LinkChange,
  LinkQuery,
  LinkStore,
  NewLink,
} from "./ports.ts";

/** A link as asked for; without `code` one is generated. */
export type LinkRequest = Omit<NewLink, "code" | "chosen"> & { readonly code: string | undefined };

export interface LinkManagerOptions {
  readonly store: LinkStore;
  readonly idempotency: IdempotencyStore;
  readonly codes: CodeGenerator;
  readonly clock: Clock;
  /** Draws of a generated code before giving up. */
  readonly maxAttempts: number;
  readonly maxBatch: number;
  readonly maxQueued: number;
  /** A batch of creates may take this long. */
  readonly timeoutMs: number;
  /** The store did not answer in time; its connections may be dead without knowing it. */
  readonly onTimeout: () => void;
  readonly onCollision: () => void;
  readonly onCreated: () => void;
  /** This process changed the link of this code; its own cache need not wait for the message. */
  readonly onChanged: (code: string) => void;
  /** Brings the click totals up to date before they are read. */
  readonly freshenClicks: () => Promise<void>;
}

/** Collisions of one create after which, at the latest, the code space counts as full and codes grow by a character. */
const COLLISIONS_BEFORE_GROWTH = 3;

export class LinkManager {
  readonly #options: LinkManagerOptions;
  readonly #inserts: Coalescer<NewLink, Link | undefined>;

  constructor(options: LinkManagerOptions) {
    this.#options = options;
    this.#inserts = new Coalescer({
      run: (links) =>
        orUnavailable(
          options.store.insert(links),
          options.timeoutMs,
          "The link cannot be stored now; it may or may not have been made.",
          options.onTimeout,
        ),
      maxBatch: options.maxBatch,
      maxQueued: options.maxQueued,
    });
  }

  /** @throws INVALID when it would have ended already; CODE_TAKEN for a chosen code; TEMPORARILY_UNAVAILABLE when no free code was found. */
  async create(request: LinkRequest): Promise<Link> {
    return this.#announce(await this.#insert(request, (link) => this.#inserts.submit(link)));
  }

  /** As `create`, but at most once for a key. @throws IDEMPOTENCY_MISMATCH when the key came with another body. */
  async createOnce(request: LinkRequest, idempotent: IdempotentCreate): Promise<Link> {
    const outcome = await this.#options.idempotency.once(idempotent, (store) =>
      this.#insert(request, async (link) => (await store.insert([link]))[0]),
    );
    if (outcome.kind === "mismatch") {
      throw new AppError(
        "IDEMPOTENCY_MISMATCH",
        "This Idempotency-Key was used with another body; use a new key for a new request.",
      );
    }
    return outcome.kind === "created" ? this.#announce(outcome.link) : outcome.link;
  }

  /** @throws LINK_NOT_FOUND, LINK_GONE */
  async get(code: string): Promise<Link> {
    await this.#options.freshenClicks();
    const link = await this.#options.store.find(code);
    if (link === undefined) throw notFound(code);
    if (link.deletedAt !== null) throw gone(code);
    return link;
  }

  /** Deleted links too: their history stays. @throws LINK_NOT_FOUND */
  async getWithHistory(code: string): Promise<Link> {
    await this.#options.freshenClicks();
    const link = await this.#options.store.find(code);
    if (link === undefined) throw notFound(code);
    return link;
  }

  async list(query: LinkQuery): Promise<readonly Link[]> {
    await this.#options.freshenClicks();
    return this.#options.store.list(query);
  }

  /** @throws LINK_NOT_FOUND, LINK_GONE */
  async change(code: string, change: LinkChange): Promise<Link> {
    await this.#options.freshenClicks();
    const link = await this.#options.store.update(code, change);
    if (link === undefined) return this.get(code);
    this.#options.onChanged(code);
    return link;
  }

  /** @throws LINK_NOT_FOUND, LINK_GONE */
  async delete(code: string): Promise<void> {
    const deleted = await this.#options.store.delete(code);
    if (!deleted) await this.get(code);
    this.#options.onChanged(code);
  }

  /** Insert first; the unique constraint decides, and a collision draws a new code. */
  async #insert(request: LinkRequest, insert: (link: NewLink) => Promise<Link | undefined>): Promise<Link> {
    // Here and not before, so that a create that is repeated with its Idempotency-Key may have ended meanwhile.
    if (request.expiresAt !== null && request.expiresAt.getTime() <= this.#options.clock()) {
      throw invalid("expiresAt", "must be in the future");
    }
    if (request.code !== undefined) {
      const link = await insert({ ...request, code: request.code, chosen: true });
      if (link !== undefined) return link;
      throw new AppError("CODE_TAKEN", `The code "${request.code}" is taken; choose another.`, {
        fields: [{ path: "code", message: "is taken; choose another" }],
      });
    }
    const { codes, maxAttempts, onCollision } = this.#options;
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const length = codes.length;
      const link = await insert({ ...request, code: codes.next(), chosen: false });
      if (link !== undefined) return link;
      onCollision();
      if (attempt % COLLISIONS_BEFORE_GROWTH === 0 || attempt === maxAttempts) codes.grow(length);
    }
    throw new AppError(
      "TEMPORARILY_UNAVAILABLE",
      `No free code was found in ${maxAttempts} draws; try again, or raise HOP_CODE_LENGTH.`,
    );
  }

  #announce(link: Link): Link {
    this.#options.onCreated();
    this.#options.onChanged(link.code);
    return link;
  }
}

function notFound(code: string): AppError {
  return new AppError("LINK_NOT_FOUND", `There is no link with the code "${code}".`);
}

function gone(code: string): AppError {
  return new AppError("LINK_GONE", `The link "${code}" was deleted; its code is not given out again.`);
}
