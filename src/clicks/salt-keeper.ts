// Holds the visitor salts of today and tomorrow, so that a redirect never waits for one, not even at midnight.
import { randomBytes } from "node:crypto";
import type { Clock } from "../lib/clock.ts";

/** Salts that all processes share. */
export interface SaltStore {
  /** The salt of a UTC day (as 2030-01-31); `candidate` becomes it when there is none yet. */
  salt(day: string, candidate: Uint8Array): Promise<Uint8Array>;
  /** Deletes what makes old visitor hashes repeatable (P8). */
  deleteOld(today: string): Promise<void>;
}

const SALT_BYTES = 32;
const DAY_MS = 86_400_000;

export class SaltKeeper {
  readonly #store: SaltStore;
  readonly #clock: Clock;
  #salts = new Map<string, Uint8Array>();

  constructor(store: SaltStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Fetches today's and tomorrow's salt and has old ones deleted. Call at the start and then every hour. */
  async refresh(): Promise<void> {
    const nowMs = this.#clock();
    const days = [nowMs, nowMs + DAY_MS].map(utcDay);
    const fetched = days.map(
      async (day) => [day, await this.#store.salt(day, randomBytes(SALT_BYTES))] as const,
    );
    this.#salts = new Map(await Promise.all(fetched));
    await this.#store.deleteOld(utcDay(nowMs));
  }

  /** When the store was away for more than a day, a salt of this process alone: visitors are then counted per process. */
  saltOf(day: string): Uint8Array {
    let salt = this.#salts.get(day);
    if (salt === undefined) {
      salt = randomBytes(SALT_BYTES);
      this.#salts.set(day, salt);
    }
    return salt;
  }
}

function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
