// Checks the API key of a request against the store, many requests in one query and without a cache: revoked is revoked.
import { Coalescer } from "../lib/coalescer.ts";
import { orUnavailable } from "../lib/deadline.ts";
import type { Clock } from "../lib/clock.ts";
import { type ApiKey, authorise, hashKey, type KeyStore, parseBearer, type Scope } from "./key.ts";

export interface AuthenticatorOptions {
  readonly store: KeyStore;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly maxBatch: number;
  readonly maxQueued: number;
  /** Remembering the last use failed; the request goes on. */
  readonly onTouchFailed: (error: unknown) => void;
}

/** Last use is remembered to the minute, so that a busy key costs one write a minute. */
const TOUCH_EVERY_MS = 60_000;
const UNAVAILABLE = "API keys cannot be checked now; try again.";

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #lookups: Coalescer<Uint8Array, ApiKey | undefined>;
  #touching: Promise<void> | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    const { store, timeoutMs, maxBatch, maxQueued } = options;
    this.#lookups = new Coalescer({
      run: (hashes) => orUnavailable(store.findByHash(hashes), timeoutMs, UNAVAILABLE),
      maxBatch,
      maxQueued,
    });
  }

  /** @throws UNAUTHENTICATED, FORBIDDEN, TEMPORARILY_UNAVAILABLE */
  async check(authorization: string | null | undefined, scope: Scope): Promise<ApiKey> {
    const hash = hashKey(parseBearer(authorization));
    // Waiting for the check ahead counts too.
    const found = await orUnavailable(this.#lookups.submit(hash), this.#options.timeoutMs, UNAVAILABLE);
    const key = authorise(found, hash, scope);
    this.#touch(key);
    return key;
  }

  async close(): Promise<void> {
    await this.#touching;
  }

  #touch(key: ApiKey): void {
    const dueMs = (key.lastUsedAt?.getTime() ?? 0) + TOUCH_EVERY_MS;
    if (this.#touching !== undefined || dueMs > this.#options.clock()) return;
    this.#touching = this.#options.store
      .touch([key.id])
      .catch(this.#options.onTouchFailed)
      .finally(() => {
        this.#touching = undefined;
      });
  }
}
