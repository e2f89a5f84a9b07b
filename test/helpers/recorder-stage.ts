// Click recorders over a store that can fail and a spool in real files, with everything that they report.
import { BatchSender, type BatchSenderOptions } from "../../src/clicks/batch-sender.ts";
import type { Click, Producer } from "../../src/clicks/click.ts";
import type { DropReason } from "../../src/clicks/ports.ts";
import { BatchRecorder, InlineRecorder, type RecorderBounds } from "../../src/clicks/recorder.ts";
import { type SetAsideReason, SpoolShipper } from "../../src/clicks/spool-shipper.ts";
import type { FileSpool } from "../../src/storage/spool.ts";
import { FIXED_BATCH } from "./batches.ts";
import { FaultyClickStore } from "./faulty-click-store.ts";
import { SpoolStage } from "./spool-records.ts";
import { waitFor } from "./wait-for.ts";

const BOUNDS: RecorderBounds = { maxBatch: 100, maxQueued: 1_000 };
const HOUR_MS = 3_600_000;

interface SenderSettings extends Partial<Pick<BatchSenderOptions, "waitMs" | "closeTimeoutMs" | "ack">> {
  readonly maxClicks?: number;
  readonly maxHeld?: number;
  readonly spoolBytes?: number;
}

export class RecorderStage {
  readonly store = new FaultyClickStore();
  readonly disk = new SpoolStage();
  readonly dropped: Partial<Record<DropReason, number>> = {};
  /** Clicks that were reported as stored at once, as spooled, and as shipped from the spool. */
  stored = 0;
  spooled = 0;
  shipped = 0;
  retries = 0;
  readonly setAside: SetAsideReason[] = [];
  readonly lostGoodbyes: string[] = [];
  #linkId = 0;

  batch(bounds: Partial<RecorderBounds> = {}, settings: SenderSettings = {}): BatchRecorder {
    const { sender } = this.sender("batch", settings);
    return new BatchRecorder(sender, { ...BOUNDS, ...bounds }, settings.ack ?? "durable");
  }

  inline(bounds: Partial<RecorderBounds> = {}, settings: SenderSettings = {}): InlineRecorder {
    return new InlineRecorder(this.sender("inline", settings).sender, { ...BOUNDS, ...bounds });
  }

  sender(
    recorder: Producer["recorder"],
    { maxClicks = 1_000, maxHeld = 1_000, spoolBytes = 1 << 24, ...settings }: SenderSettings = {},
  ): { sender: BatchSender; shipper: SpoolShipper; spool: FileSpool } {
    const spool = this.disk.open(spoolBytes);
    const onRetry = () => void this.retries++;
    const shipper = new SpoolShipper({
      store: this.store,
      spool,
      maxClicks,
      maxHeld,
      attemptTimeoutMs: HOUR_MS,
      onShipped: (clicks) => void (this.shipped += clicks),
      onRetry,
      onSetAside: (reason) => this.setAside.push(reason),
    });
    const sender = new BatchSender({
      store: this.store,
      spool,
      shipper,
      recorder,
      ack: "durable",
      waitMs: HOUR_MS,
      spoolTimeoutMs: HOUR_MS,
      closeTimeoutMs: HOUR_MS,
      onStored: (clicks) => void (this.stored += clicks),
      onSpooled: (clicks) => void (this.spooled += clicks),
      onDropped: (clicks, reason) => {
        this.dropped[reason] = (this.dropped[reason] ?? 0) + clicks;
      },
      onRetry,
      onGoodbyeLost: (error) => this.lostGoodbyes.push(String(error)),
      ...settings,
    });
    return { sender, shipper, spool };
  }

  /** A click that can be told from every other: its link is 1, 2, 3 … */
  click(): Click {
    const [click] = FIXED_BATCH.clicks;
    if (click === undefined) throw new Error("the fixed batch has clicks");
    return { ...click, linkId: ++this.#linkId };
  }

  clicks(count: number): Click[] {
    return Array.from({ length: count }, () => this.click());
  }

  /** The links of the stored clicks, ascending. */
  get storedLinks(): number[] {
    return this.store.stored.map((click) => click.linkId).toSorted((a, b) => a - b);
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

  /** Until so many clicks came out of the spool and are stored. */
  async hasShipped(count: number): Promise<void> {
    await waitFor(`${count} shipped clicks`, () => this.shipped >= count, { everyMs: 1 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.release();
    await this.disk[Symbol.asyncDispose]();
  }
}
