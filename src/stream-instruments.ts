// The metrics of the stream of clicks, for processes that have one.
import { Counter, Gauge, type Registry } from "prom-client";
import type { PartitionSize } from "./storage/redis/stream-facts.ts";

export type StreamInstruments = ReturnType<typeof createStreamInstruments>;

/** @param maxBytes where the stream stops taking clicks, so that a rule can say how far it is from there */
export function createStreamInstruments(registry: Registry, maxBytes: number) {
  // Every process sees the whole stream, so processes of one host are not to be added up.
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, registers: [registry], aggregator: "max" });
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] });
  const pending = gauge("hop_stream_pending", "Batches in the stream that are not stored yet");
  const bytes = gauge("hop_stream_bytes", "Memory of the stream in Redis; hop_stream_max_bytes is its bound");
  gauge("hop_stream_max_bytes", "HOP_STREAM_MAX_BYTES: above it the spool takes the clicks").set(maxBytes);
  const oldest = gauge("hop_stream_oldest_seconds", "Age of the oldest batch in the stream");
  const dead = gauge("hop_stream_dead", "Batches that were put aside: see hop dead list");
  return {
    resent: counter(
      "hop_stream_resent_total",
      "Batches sent again because the master was restarted, replaced or emptied",
    ),
    claimed: counter("hop_stream_claimed_total", "Batches read again because nobody confirmed them"),
    buried: counter("hop_stream_buried_total", "Batches put aside because they could not be stored"),
    setSizes(sizes: readonly PartitionSize[]): void {
      const sum = (read: (size: PartitionSize) => number) =>
        sizes.reduce((total, size) => total + read(size), 0);
      pending.set(sum((size) => size.entries));
      bytes.set(sum((size) => size.bytes));
      dead.set(sum((size) => size.dead));
      oldest.set(Math.max(0, ...sizes.map((size) => size.oldestMs)) / 1_000);
    },
  };
}
