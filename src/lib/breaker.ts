// Keeps work away from something that failed, and finds out by itself when it is back.
import { type Loop, repeat } from "./loop.ts";

export interface BreakerOptions {
  /** Rejects while the thing is not well; bounds its own wait. */
  readonly probe: () => Promise<unknown>;
  readonly probeEveryMs: number;
  /** From now on `isOpen` is true, because of this. */
  readonly onOpen: (reason: Error) => void;
  /** From now on `isOpen` is false. */
  readonly onClose: () => void;
}

/**
 * A circuit breaker (Nygard, "Release It!") that opens at the first failure and closes at the first probe that succeeds.
 * Libraries such as cockatiel and opossum let a caller's own request be the probe; here no redirect waits for one.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #probing: Loop | undefined;
  #ending: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#probing !== undefined;
  }

  /** The thing failed. Whoever was about to use it finds `isOpen` true from now on. */
  fail(reason: Error): void {
    if (this.#probing !== undefined || this.#closed) return;
    this.#probing = repeat(
      this.#options.probeEveryMs,
      async () => {
        await this.#options.probe();
        this.#recover();
      },
      () => undefined,
    );
    this.#options.onOpen(reason);
  }

  /** Ends the probing; afterwards the breaker stays as it is. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#probing?.stop();
    await this.#ending;
  }

  #recover(): void {
    const probing = this.#probing;
    if (probing === undefined || this.#closed) return;
    this.#probing = undefined;
    // Not awaited here: this is called from a round of that very loop.
    this.#ending = probing.stop();
    this.#options.onClose();
  }
}
