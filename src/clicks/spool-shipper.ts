// Delivers what had to wait to the store, oldest first, and says whether new batches have to wait too.
import { DeadlineError, withDeadline } from "../lib/deadline.ts";
import { interval } from "../lib/loop.ts";
import { decodeBatch } from "./batch-decoder.ts";
import { encodeBatch } from "./batch-encoder.ts";
import { BatchFormatError } from "./batch-format.ts";
import type { ClickBatch } from "./click.ts";
import type { ClickSpool, ClickStore, DropReason } from "./ports.ts";

/** A batch that neither the store nor the disk took, and what the disk said. */
export interface HeldBatch {
  readonly batch: ClickBatch;
  readonly reason: Exclude<DropReason, "queue_full" | "shutdown">;
}

/** Why a record left the spool without being stored: nobody can read it, or the store refuses it and takes others. */
export type SetAsideReason = "undecodable" | "refused";

export interface SpoolShipperOptions {
  readonly store: ClickStore;
  readonly spool: ClickSpool;
  /** Clicks in one call of the store, unless one batch has more. */
  readonly maxClicks: number;
  /** Clicks that may be held in memory while the disk takes none; those of one more call may exceed it. */
  readonly maxHeld: number;
  /** One attempt may take this long; then it is repeated, which is safe. */
  readonly attemptTimeoutMs: number;
  /** Clicks that had waited are stored. */
  readonly onShipped: (clicks: number) => void;
  /** An attempt failed and will be repeated. */
  readonly onRetry: (error: unknown) => void;
  /** A record is in a `.bad` file now. */
  readonly onSetAside: (reason: SetAsideReason, error: unknown) => void;
}

const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 1_000;
/** One read of the spool, about: so much is delivered in a moment. */
const NEARLY_CAUGHT_UP_BYTES = 256 * 1_024;
/** So often must the store refuse the oldest record and then take another, until the fault is surely the record's. */
const STRIKES = 5;

/** A record of the spool with what it says. */
interface Decoded {
  readonly record: { readonly payload: Uint8Array };
  readonly batch: ClickBatch;
}

/** The loop runs only while something waits. */
export class SpoolShipper {
  readonly #options: SpoolShipperOptions;
  readonly #stopping = new AbortController();
  #held: HeldBatch[] = [];
  #heldClicks = 0;
  #away = false;
  #strikes = 0;
  #woken = false;
  #running: Promise<void> | undefined;

  constructor(options: SpoolShipperOptions) {
    this.#options = options;
  }

  /** Nothing waits. */
  get idle(): boolean {
    return this.#held.length === 0 && this.#options.spool.waitingBytes === 0;
  }

  /**
   * True once nothing waits; false after `timeoutMs`, or at once when the store is away or much waits. New batches wait for
   * this, because those that joined the end of the spool instead would keep it from ever being empty under steady load.
   */
  async caughtUp(timeoutMs: number): Promise<boolean> {
    if (this.idle) return true;
    if (this.#away || this.#options.spool.waitingBytes > NEARLY_CAUGHT_UP_BYTES) return false;
    this.wake();
    const expired = new AbortController();
    await Promise.race([this.#running, interval(timeoutMs, expired.signal)]);
    expired.abort();
    return this.idle;
  }

  /** The last attempt to store something failed. */
  get storeAway(): boolean {
    return this.#away;
  }

  /** As many clicks as may be are held in memory; a batch without a number should rather be dropped. */
  get full(): boolean {
    return this.#heldClicks >= this.#options.maxHeld;
  }

  /** Tells that the store did not confirm a batch, which is in the spool by now or will be. */
  storeFailed(): void {
    this.#away = true;
  }

  /** Tells that something may be in the spool. */
  wake(): void {
    this.#woken = true;
    if (!this.#stopping.signal.aborted) this.#running ??= this.#run();
  }

  /** Keeps a batch that has its number, until the store or the disk takes it: then no number is missing. */
  hold(held: HeldBatch): void {
    this.#held.push(held);
    this.#heldClicks += held.batch.clicks.length;
    this.wake();
  }

  /** Takes over what dead processes left in the spool. @throws what the disk says */
  async adopt(): Promise<void> {
    await this.#options.spool.adopt();
    if (!this.idle) this.wake();
  }

  /** Ships what it can within `deadlineMs` and stops. @returns what is lost with this process's memory */
  async close(deadlineMs: number): Promise<readonly HeldBatch[]> {
    const timer = setTimeout(() => this.#stopping.abort(), deadlineMs);
    await this.#running;
    clearTimeout(timer);
    this.#stopping.abort();
    return this.#held;
  }

  async #run(): Promise<void> {
    // A store that failed a moment ago gets a pause before the first attempt too.
    let retryMs = FIRST_RETRY_MS;
    if (this.#away) await this.#pause(retryMs);
    while (!this.idle && !this.#stopping.signal.aborted) {
      try {
        this.#woken = false;
        const shipped = await this.#ship();
        // What waits is on its way to the disk: whoever sends it there wakes this loop again.
        if (!shipped && !this.#woken) break;
        if (!shipped) continue;
        this.#away = false;
        this.#strikes = 0;
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        // Whatever went wrong, storing the same numbers again is safe.
        if (this.#stopping.signal.aborted) break;
        this.#away = true;
        this.#options.onRetry(error);
        await this.#spoolHeld().catch(this.#options.onRetry);
        await this.#pause(retryMs);
        retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
      }
    }
    this.#running = undefined;
  }

  async #pause(ms: number): Promise<void> {
    await interval(ms * (0.5 + Math.random() / 2), this.#stopping.signal);
  }

  /** One piece of what waits, those in memory first, because nothing else keeps them. False when there is nothing. */
  async #ship(): Promise<boolean> {
    const held = this.#held.length > 0;
    while (this.#held.length > 0) {
      const group = this.#upToMax(this.#held);
      await this.#store(group.map(({ batch }) => batch));
      this.#release(group.length);
      this.#options.onShipped(clicksOf(group));
    }
    const decoded = await this.#readSpool();
    for (let rest = decoded; rest.length > 0;) {
      const group = this.#upToMax(rest);
      await this.#storeSpooled(group, rest);
      rest = rest.slice(group.length);
    }
    return held || decoded.length > 0;
  }

  async #storeSpooled(group: readonly Decoded[], rest: readonly Decoded[]): Promise<void> {
    // After a failure one by one, so that a record that the store refuses does not take others with it.
    const size = this.#strikes > 0 ? 1 : group.length;
    for (let at = 0; at < group.length; at += size) {
      const part = group.slice(at, at + size);
      try {
        await this.#store(part.map(({ batch }) => batch));
      } catch (error) {
        await this.#judge(rest[at], rest.at(-1), error);
        throw error;
      }
      this.#strikes = 0;
      await this.#options.spool.remove(part.map(({ record }) => record));
      this.#options.onShipped(clicksOf(part));
    }
  }

  /** The store took none of a group: is it away, or is `oldest` more than it can take? */
  async #judge(oldest: Decoded | undefined, other: Decoded | undefined, error: unknown): Promise<void> {
    // No answer is the store's fault.
    if (error instanceof DeadlineError) return;
    if (oldest === undefined || other === undefined || other === oldest) return;
    await this.#store([other.batch]);
    if (++this.#strikes <= STRIKES) return;
    this.#strikes = 0;
    await this.#options.spool.setAside(oldest.record);
    this.#options.onSetAside("refused", error);
  }

  async #readSpool(): Promise<Decoded[]> {
    const decoded: Decoded[] = [];
    for (const record of await this.#options.spool.read()) {
      try {
        decoded.push({ record, batch: decodeBatch(record.payload) });
      } catch (error) {
        if (!(error instanceof BatchFormatError)) throw error;
        // It can be taken out only when it is the oldest: the next round begins with it.
        if (decoded.length > 0) break;
        await this.#options.spool.setAside(record);
        this.#options.onSetAside("undecodable", error);
      }
    }
    return decoded;
  }

  /** The disk may have room again. */
  async #spoolHeld(): Promise<void> {
    for (let [oldest] = this.#held; oldest !== undefined; [oldest] = this.#held) {
      const bytes = encodeOrNothing(oldest.batch);
      if (bytes === undefined) return;
      const { spool, attemptTimeoutMs } = this.#options;
      if ((await withDeadline(spool.append(bytes), attemptTimeoutMs, "spooling clicks")) !== "spooled")
        return;
      this.#release(1);
    }
  }

  #release(count: number): void {
    for (const { batch } of this.#held.splice(0, count)) this.#heldClicks -= batch.clicks.length;
  }

  /** The first ones that fit into one call, and one at least. */
  #upToMax<T extends { readonly batch: ClickBatch }>(waiting: readonly T[]): readonly T[] {
    let clicks = 0;
    const end = waiting.findIndex(({ batch }, index) => {
      clicks += batch.clicks.length;
      return index > 0 && clicks > this.#options.maxClicks;
    });
    return end === -1 ? waiting.slice() : waiting.slice(0, end);
  }

  async #store(batches: readonly ClickBatch[]): Promise<void> {
    const { store, attemptTimeoutMs } = this.#options;
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = () => reject(new Error("storing clicks was cut short"));
    this.#stopping.signal.addEventListener("abort", stop, { once: true });
    if (this.#stopping.signal.aborted) stop();
    try {
      await Promise.race([
        withDeadline(store.storeBatches(batches), attemptTimeoutMs, "storing clicks"),
        stopped,
      ]);
    } finally {
      this.#stopping.signal.removeEventListener("abort", stop);
    }
  }
}

function clicksOf(group: readonly { readonly batch: ClickBatch }[]): number {
  return group.reduce((sum, { batch }) => sum + batch.clicks.length, 0);
}

/** The bytes of a batch; undefined for one that has none, which only the store can take. */
export function encodeOrNothing(batch: ClickBatch): Uint8Array | undefined {
  try {
    return encodeBatch(batch);
  } catch (error) {
    if (!(error instanceof BatchFormatError)) throw error;
    return undefined;
  }
}
