// What the links domain needs from a store. Implementations: storage/postgres/links.ts, and one in memory for tests.
import type { Link, LinkStatus, Route } from "./link.ts";

/** A link about to be made; `code` may be taken. */
export interface NewLink {
  readonly code: string;
  /** The code was chosen by a person rather than generated. */
  readonly chosen: boolean;
  readonly url: string;
  readonly title: string | null;
  readonly tags: readonly string[];
  readonly status: LinkStatus;
  readonly expiresAt: Date | null;
}

/** Fields to change; a missing one stays as it is. */
export type LinkChange = Partial<Pick<NewLink, "url" | "title" | "tags" | "status" | "expiresAt">>;

export interface LinkQuery {
  readonly limit: number;
  /** Only links older than this id. */
  readonly beforeId: number | undefined;
  /** Substring of code, title or target; case-insensitive. */
  readonly text: string | undefined;
  readonly tag: string | undefined;
}

/** Every method throws AppError TEMPORARILY_UNAVAILABLE when the store cannot be asked. */
export interface LinkStore {
  /**
   * Inserts many at once; the unique constraint decides. Answers in order: the link, or undefined where its code was taken.
   * One code twice in a call is taken by the first.
   */
  insert(links: readonly NewLink[]): Promise<readonly (Link | undefined)[]>;
  /** Routes in the order of the codes; undefined where there is none. Deleted and expired links have routes. */
  findRoutes(codes: readonly string[]): Promise<readonly (Route | undefined)[]>;
  /** Deleted links are found too. */
  find(code: string): Promise<Link | undefined>;
  /** Newest first, without deleted ones. */
  list(query: LinkQuery): Promise<readonly Link[]>;
  /** The changed link; undefined when there is none or it was deleted. */
  update(code: string, change: LinkChange): Promise<Link | undefined>;
  /** False when there is none or it was deleted before. */
  delete(code: string): Promise<boolean>;
}

/** What is remembered of a code, for all processes. */
export type Recalled =
  | {
      readonly kind: "copy";
      /** Undefined: there is no link with this code. */
      readonly route: Route | undefined;
      readonly version: number;
      readonly ageMs: number;
      readonly asOfMs: number;
    }
  /** Nothing; `mine` asks the caller to look it up, `busy` says that somebody else does. */
  | { readonly kind: "mine" | "busy"; readonly version: number; readonly asOfMs: number };

export interface RouteCopy {
  readonly code: string;
  readonly route: Route | undefined;
  /** The route's own; without a route, what `recall` said before the lookup. */
  readonly version: number;
  /** `asOfMs` of the recall before the lookup, less the age of its answer: the copy lives from then on, however late it is kept. */
  readonly bornMs: number;
  readonly lifeMs: number;
}

/** The code changed to this version: copies of older ones go, and are refused from now on. */
export interface RouteFence {
  readonly code: string;
  readonly version: number;
  readonly lifeMs: number;
}

/** Copies of routes that processes share. It may forget at any time; methods reject when it cannot be asked. */
export interface RouteCopies {
  /** In the order of the codes, which are distinct. A `mine` keeps others `busy` for at most `leaseMs`. */
  recall(codes: readonly string[], leaseMs: number): Promise<readonly Recalled[]>;
  /**
   * Keeps what is newer than what is there: by version, then by birth, which a fence has none of. True where it was kept.
   * Whatever becomes of it, also when nothing is left of its life, nobody is `busy` with the code any more.
   */
  keep(news: readonly (RouteCopy | RouteFence)[]): Promise<readonly boolean[]>;
  /** Resolves when every part of the store answers. */
  check(): Promise<void>;
}

/** What an Idempotency-Key gave the first time. */
export type IdempotentOutcome =
  | { readonly kind: "created"; readonly link: Link }
  | { readonly kind: "replayed"; readonly link: Link }
  | { readonly kind: "mismatch" };

export interface IdempotentCreate {
  readonly apiKeyId: number;
  readonly key: string;
  /** SHA-256 of the request body as it was understood. */
  readonly requestHash: Uint8Array;
  readonly sinceMs: number;
}

/** Runs a create at most once per (API key, Idempotency-Key): concurrent callers wait for the first and share its answer. */
export interface IdempotencyStore {
  once(
    request: IdempotentCreate,
    create: (store: Pick<LinkStore, "insert">) => Promise<Link>,
  ): Promise<IdempotentOutcome>;
}
