// Wires what keeps clicks: recorder → sender → store, with the spool and its shipper beside them.
import { join } from "node:path";
import { BatchSender } from "./clicks/batch-sender.ts";
import type { Producer } from "./clicks/click.ts";
import type { ClickStore } from "./clicks/ports.ts";
import { BatchRecorder, type ClickRecorder, InlineRecorder } from "./clicks/recorder.ts";
import { SpoolShipper } from "./clicks/spool-shipper.ts";
import type { Config } from "./config.ts";
import type { Instruments } from "./instruments.ts";
import { type Log, warnSeldom } from "./lib/log.ts";
import { FileSpool } from "./storage/spool.ts";

export interface RecorderParts {
  readonly config: Config;
  /** What confirms a batch; it has to know (producer, seq) again. */
  readonly store: ClickStore;
  readonly instruments: Instruments;
  readonly log: Log;
}

/**
 * Makes a producer known to the ledger before its first batch. One that answers first (HOP_CLICKS_ACK=async) has to be:
 * its clicks may be lost before any of them is stored, and the ledger must not call that balanced.
 */
export type Introduce = (producer: Producer) => Promise<void>;

/** Opens the recorder that the configuration names, and ships what dead processes left in the spool. */
export async function openRecorder(parts: RecorderParts, introduce: Introduce): Promise<ClickRecorder> {
  const { config, store, instruments, log } = parts;
  const spool = openSpool(parts);
  instruments.watchSpool(() => spool.bytes, config.spoolBytes);
  const shipper = openShipper(parts, spool);
  try {
    await shipper.adopt();
  } catch (error) {
    // The disk is needed only while the store is away; links are served without it.
    log.warn({ err: error }, "the spool of earlier processes could not be read");
  }
  const sayUnconfirmed = warnSeldom(log, "the store did not confirm clicks in time; they go to the spool");
  const sender = new BatchSender({
    store,
    spool,
    shipper,
    recorder: config.clicks,
    ack: config.clicksAck,
    waitMs: config.clicksWaitMs,
    spoolTimeoutMs: Math.max(1, config.clicksTimeoutMs - config.clicksWaitMs),
    closeTimeoutMs: config.statementTimeoutMs,
    onStored: (clicks) => {
      instruments.clicks.add(confirmedStage(config), clicks);
      instruments.clickBatchSize.observe(clicks);
    },
    onSpooled: (clicks) => instruments.clicks.add("spooled", clicks),
    onDropped: (clicks, reason) => instruments.clicks.add(`dropped_${reason}`, clicks),
    onRetry: (error) => {
      instruments.clickRetries.inc();
      sayUnconfirmed(error);
    },
    onGoodbyeLost: (error) =>
      log.warn({ err: error }, "the click ledger was not told that this process ended"),
  });
  if (config.clicksAck === "async") await introduce(sender.producer);
  const bounds = { maxBatch: config.batchMax, maxQueued: config.clicksQueueMax };
  return config.clicks === "inline"
    ? new InlineRecorder(sender, bounds)
    : new BatchRecorder(sender, bounds, config.clicksAck);
}

/** What a click is once the store has confirmed it: what goes through the stream is stored by workers. */
function confirmedStage({ clicks }: Config): "streamed" | "stored" {
  return clicks === "stream" ? "streamed" : "stored";
}

/** The spool of this process, in the directory that all processes share. */
export function openSpool({ config, instruments, log }: Omit<RecorderParts, "store">): FileSpool {
  return new FileSpool({
    directory: join(config.dataDir, "spool"),
    maxBytes: config.spoolBytes,
    onDamage: ({ records, ...damage }) => {
      instruments.spoolSkipped.inc({ reason: damage.reason }, records);
      log.error({ records, ...damage }, "a part of the spool cannot be read and is skipped");
    },
    onError: (error) => log.error({ err: error }, "the disk refuses the spool"),
  });
}

/** Delivers a spool to the store, for whoever opened both. */
export function openShipper(
  { config, store, instruments, log }: RecorderParts,
  spool: FileSpool,
): SpoolShipper {
  const sayUndelivered = warnSeldom(log, "spooled clicks could not be stored; trying again");
  return new SpoolShipper({
    store,
    spool,
    maxClicks: config.batchMax,
    maxHeld: config.clicksQueueMax,
    attemptTimeoutMs: config.statementTimeoutMs,
    onShipped: (clicks) => {
      instruments.clicks.add(confirmedStage(config), clicks);
      instruments.clickBatchSize.observe(clicks);
    },
    onRetry: (error) => {
      instruments.clickRetries.inc();
      sayUndelivered(error);
    },
    onSetAside: (reason, error) => {
      instruments.spoolSkipped.inc({ reason });
      log.error({ err: error, reason }, "a spooled record cannot be stored and is set aside in a .bad file");
    },
  });
}
