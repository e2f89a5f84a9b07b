// Click recorders over a store that can fail, with everything that they report.
import { BatchSender } from "../../src/clicks/batch-sender.ts";
import type { Click, Producer } from "../../src/clicks/click.ts";
import { judgeLedger, type LedgerReport } from "../../src/clicks/ledger.ts";
import type { DropReason } from "../../src/clicks/ports.ts";
import { BatchRecorder, InlineRecorder, type RecorderBounds } from "../../src/clicks/recorder.ts";
import { aClick } from "./clicks.ts";
import { FaultyClickStore } from "./faulty-click-store.ts";
import { waitFor } from "./wait-for.ts";

const BOUNDS: RecorderBounds = { maxBatch: 100, maxQueued: 1_000, timeoutMs: 5_000 };

export class RecorderStage {
  readonly store = new FaultyClickStore();
  readonly dropped: Partial<Record<DropReason, number>> = {};
  /** Clicks that the sender reported as stored. */
  stored = 0;
  retries = 0;
  readonly lostGoodbyes: string[] = [];
  #linkId = 0;

  batch(bounds: Partial<RecorderBounds> = {}, ack: Producer["ack"] = "durable"): BatchRecorder {
    return new BatchRecorder(this.sender("batch", ack), { ...BOUNDS, ...bounds }, ack);
  }

  inline(bounds: Partial<RecorderBounds> = {}): InlineRecorder {
    return new InlineRecorder(this.sender("inline"), { ...BOUNDS, ...bounds });
  }

  sender(
    recorder: Producer["recorder"],
    ack: Producer["ack"] = "durable",
    attemptTimeoutMs = 3_600_000,
  ): BatchSender {
    return new BatchSender({
      store: this.store,
      recorder,
      ack,
      attemptTimeoutMs,
      onStored: (clicks) => {
        this.stored += clicks;
      },
      onDropped: (clicks, reason) => {
        this.dropped[reason] = (this.dropped[reason] ?? 0) + clicks;
      },
      onRetry: () => {
        this.retries++;
      },
      onGoodbyeLost: (error) => this.lostGoodbyes.push(String(error)),
    });
  }

  /** A click that can be told from every other: its link is 1, 2, 3 … */
  click(): Click {
    return aClick({ linkId: ++this.#linkId });
  }

  clicks(count: number): Click[] {
    return Array.from({ length: count }, () => this.click());
  }

  /** The links of the stored clicks, ascending. */
  get storedLinks(): number[] {
    return this.store.memory.stored.map((click) => click.linkId).toSorted((a, b) => a - b);
  }

  /** Sizes of all attempts, in order. */
  get batchSizes(): number[] {
    return this.store.attempts.map((batch) => batch.clicks.length);
  }

  get seqs(): number[] {
    return this.store.attempts.map((batch) => batch.seq);
  }

  /** Until so many attempts to store have begun. */
  async attempted(count: number): Promise<void> {
    await waitFor(`${count} attempts`, () => this.store.attempts.length >= count, { everyMs: 1 });
  }

  /** Until so many attempts have failed. */
  async retried(count: number): Promise<void> {
    await waitFor(`${count} retries`, () => this.retries >= count, { everyMs: 1 });
  }

  async ledger(): Promise<LedgerReport> {
    return judgeLedger(await this.store.memory.ledgerFacts());
  }
}
