// Is it losing anything, and what is about to fill?
import type { Row } from "./panel.ts";

export const LOSING: Row = {
  question: "Is it losing anything?",
  panels: [
    {
      title: "Clicks dropped",
      description:
        "Clicks given up in the range shown, for a counted reason. Anything but 0 is a loss: HopClicksDropped. `hop ledger` accounts for each.",
      unit: "short",
      show: { redFrom: 1 },
      queries: [
        { expr: 'sum(increase(hop_clicks_total{stage=~"dropped_.+"}[$__range]))', legend: "dropped" },
      ],
    },
    {
      title: "Batches put aside",
      description:
        "Batches that Postgres refused again and again. Nothing deletes them: `hop dead list` says why, `hop dead requeue` tries again. HopDeadLetters.",
      unit: "short",
      show: { redFrom: 1 },
      queries: [{ expr: "max(hop_stream_dead)", legend: "dead" }],
    },
    {
      title: "Spool records skipped",
      description:
        "Records that left a spool without being stored. torn ones were never promised to anyone; every other reason is a damaged disk or a bug: HopSpoolDamaged.",
      unit: "short",
      show: { redFrom: 1 },
      queries: [{ expr: 'sum(hop_spool_skipped_total{reason!="torn"}) or vector(0)', legend: "skipped" }],
    },
    {
      title: "What becomes of clicks",
      description:
        "recorded is what visitors were answered. With the stream it goes on as streamed and then, by workers, stored; without it, stored. spooled took the way over the disk and is counted again when it is delivered. duplicate came twice and counts once.",
      unit: "cps",
      show: "lines",
      queries: [{ expr: "sum by (stage) (rate(hop_clicks_total[$__rate_interval]))", legend: "{{stage}}" }],
    },
    {
      title: "Trouble on the way to the store",
      description:
        "retries: writes that were not confirmed in time and are repeated, harmless while short. resent: Redis was restarted or replaced. claimed: a worker died and another took over. buried: put aside.",
      unit: "cps",
      show: "lines",
      queries: [
        {
          expr: "sum by (job) (rate(hop_click_retries_total[$__rate_interval]))",
          legend: "retries of {{job}}",
        },
        { expr: "sum(rate(hop_stream_resent_total[$__rate_interval]))", legend: "resent" },
        { expr: "sum(rate(hop_stream_claimed_total[$__rate_interval]))", legend: "claimed" },
        { expr: "sum(rate(hop_stream_buried_total[$__rate_interval]))", legend: "buried" },
      ],
    },
    {
      title: "Links served although Postgres is away",
      description:
        "Redirects to a target that could not be read again. It keeps links working; what was edited meanwhile is not seen. HopServesStale.",
      unit: "reqps",
      show: "lines",
      queries: [
        { expr: 'sum(rate(hop_cache_requests_total{result="stale"}[$__rate_interval]))', legend: "stale" },
      ],
    },
  ],
};

export const FILLING: Row = {
  question: "What is about to fill?",
  panels: [
    {
      title: "Spool",
      description:
        "Bytes of clicks on each server's disk, of HOP_SPOOL_BYTES. 0 is normal. It grows while the store is away and is delivered afterwards. At 1 clicks are dropped: HopSpoolFills.",
      unit: "percentunit",
      show: "lines",
      queries: [{ expr: "hop_spool_bytes / hop_spool_max_bytes", legend: "{{instance}}" }],
    },
    {
      title: "Stream in Redis",
      description:
        "Memory of the stream, of HOP_STREAM_MAX_BYTES. At 1 nothing is lost, but clicks go to the servers' disks: HopStreamFills.",
      unit: "percentunit",
      show: "lines",
      queries: [{ expr: "max(hop_stream_bytes) / max(hop_stream_max_bytes)", legend: "stream" }],
    },
    {
      title: "Age of the oldest batch in the stream",
      description:
        "How late statistics are. Seconds are normal; growing means that workers are too few or that Postgres is slow: HopStreamBehind.",
      unit: "s",
      show: "lines",
      queries: [{ expr: "max(hop_stream_oldest_seconds)", legend: "oldest" }],
    },
    {
      title: "Batches that wait in the stream",
      description: "Appended and not stored yet. A saw-tooth near 0 is normal.",
      unit: "short",
      show: "lines",
      queries: [{ expr: "max(hop_stream_pending)", legend: "waiting" }],
    },
    {
      title: "Memory",
      description:
        "Resident memory of each process: about 200 MB is normal for a server under load. The cache is bounded by HOP_CACHE_BYTES.",
      unit: "bytes",
      show: "lines",
      queries: [{ expr: 'process_resident_memory_bytes{job=~"hop|hop-work"}', legend: "{{instance}}" }],
    },
    {
      title: "Codes that were taken",
      description:
        "Generated codes that had to be made again, of all links made. Above 10 %: raise HOP_CODE_LENGTH (HopCodesRunOut).",
      unit: "percentunit",
      show: "lines",
      queries: [
        {
          expr: "sum(increase(hop_code_collisions_total[$__rate_interval])) / sum(increase(hop_links_created_total[$__rate_interval]))",
          legend: "taken",
        },
      ],
    },
  ],
};
