// API keys: what they are, what they may do, and how one is checked.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { AppError, invalid } from "../lib/errors.ts";

export const SCOPES = ["links:read", "links:write", "stats:read", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** A stored key. The key itself is shown once, when it is made. */
export interface ApiKey {
  readonly id: number;
  readonly name: string;
  /** The first characters of the key, by which people tell keys apart. */
  readonly prefix: string;
  /** SHA-256 of the key. */
  readonly hash: Uint8Array;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

export interface KeyStore {
  /** In the order of the hashes; undefined where there is no such key. Revoked keys are found too. */
  findByHash(hashes: readonly Uint8Array[]): Promise<readonly (ApiKey | undefined)[]>;
  insert(key: Pick<ApiKey, "name" | "prefix" | "hash" | "scopes">): Promise<ApiKey>;
  list(): Promise<readonly ApiKey[]>;
  /** False when no key that is still valid has this id. */
  revoke(id: number): Promise<boolean>;
  /** Remembers that the keys were used. */
  touch(ids: readonly number[]): Promise<void>;
}

const PREFIX_LENGTH = 12;

/** A new key: `hop_` and 256 random bits. */
export function generateKey(): string {
  return `hop_${randomBytes(32).toString("base64url")}`;
}

export function describeKey(key: string): { prefix: string; hash: Uint8Array } {
  return { prefix: key.slice(0, PREFIX_LENGTH), hash: hashKey(key) };
}

/** 256 random bits cannot be guessed from a fast hash, and a fast hash is what every request can afford. */
export function hashKey(key: string): Uint8Array {
  return createHash("sha256").update(key).digest();
}

/** @throws UNAUTHENTICATED unless the key is the stored one and still valid; FORBIDDEN without the scope. */
export function authorise(stored: ApiKey | undefined, hash: Uint8Array, scope: Scope): ApiKey {
  const matches = stored !== undefined && timingSafeEqual(stored.hash, hash) && stored.revokedAt === null;
  if (!matches) throw unauthenticated("This API key is unknown or was revoked.");
  if (!stored.scopes.includes(scope) && !stored.scopes.includes("admin")) {
    throw new AppError(
      "FORBIDDEN",
      `This API key lacks the scope ${scope}; it has ${stored.scopes.join(", ")}.`,
    );
  }
  return stored;
}

/** The key of an `Authorization: Bearer …` header. @throws UNAUTHENTICATED */
export function parseBearer(header: string | null | undefined): string {
  if (header === null || header === undefined) {
    throw unauthenticated("This request needs an API key: Authorization: Bearer hop_…");
  }
  const key = /^Bearer +(hop_[\w-]{32,200})$/i.exec(header)?.[1];
  if (key === undefined) throw unauthenticated("The Authorization header must read: Bearer hop_…");
  return key;
}

/** @throws INVALID naming the scope that does not exist. */
export function parseScopes(names: readonly string[]): Scope[] {
  return names.map((name) => {
    const scope = SCOPES.find((known) => known === name);
    if (scope === undefined)
      throw invalid("scopes", `"${name}" is not a scope; choose from ${SCOPES.join(", ")}`);
    return scope;
  });
}

function unauthenticated(message: string): AppError {
  return new AppError("UNAUTHENTICATED", message);
}
