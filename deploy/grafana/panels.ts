// What the dashboard shows: four questions, and the panels that answer each. dashboard.ts turns this into Grafana's JSON.

export interface Query {
  readonly expr: string;
  /** Grafana's legend format: `{{label}}`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** For someone who has never seen it: what it is, what is good, and what to do when it is not. */
  readonly description: string;
  readonly unit: "short" | "reqps" | "s" | "bytes" | "percentunit" | "cps";
  /** `number` is the last value, red from `redFrom` on (or below `redBelow`); `lines` is a time series. */
  readonly show: "lines" | { readonly redFrom: number } | { readonly redBelow: number };
  readonly queries: readonly Query[];
}

export interface Row {
  readonly question: string;
  readonly panels: readonly Panel[];
}

const quantile = (share: number, metric: string): Query => ({
  expr: `histogram_quantile(${share}, sum by (le) (rate(${metric}_bucket[$__rate_interval])))`,
  legend: `p${share * 100}`,
});

const UP: Row = {
  question: "Is it up?",
  panels: [
    {
      title: "Servers that answer",
      description: "Of those that Prometheus knows, the share whose /metrics answers. Below 1: HopDown.",
      unit: "percentunit",
      show: { redBelow: 1 },
      queries: [{ expr: 'avg(up{job="hop"})', legend: "servers" }],
    },
    {
      title: "Redirects that fail",
      description:
        "Redirects answered with 503 (unavailable) or 500 (failed), of all. Unknown, deleted and expired codes are not failures. Above 1 %: HopRedirectsFail.",
      unit: "percentunit",
      show: { redFrom: 0.01 },
      queries: [
        {
          expr: 'sum(rate(hop_redirects_total{outcome=~"failed|unavailable"}[$__rate_interval])) / sum(rate(hop_redirects_total[$__rate_interval]))',
          legend: "failed",
        },
      ],
    },
    {
      title: "Servers that hear of edits",
      description:
        "1 while every server listens to Postgres for changed links. At 0 an edit may take HOP_CACHE_TTL_MS (60 s) to be seen: HopHearsNoChanges.",
      unit: "short",
      show: { redBelow: 1 },
      queries: [{ expr: 'min(hop_invalidation_listening{job="hop"})', legend: "listening" }],
    },
    {
      title: "Redirects by outcome",
      description:
        "redirected: answered and counted. not_counted: HEAD, prefetch and preview. not_found and gone: the visitor's or the owner's mistake. unavailable and failed: ours.",
      unit: "reqps",
      show: "lines",
      queries: [
        { expr: "sum by (outcome) (rate(hop_redirects_total[$__rate_interval]))", legend: "{{outcome}}" },
      ],
    },
    {
      title: "API answers by status",
      description:
        "Requests to /api by status. Many 4xx of one client are its mistake, 5xx are ours: HopApiFails.",
      unit: "reqps",
      show: "lines",
      queries: [
        { expr: "sum by (status) (rate(hop_http_requests_total[$__rate_interval]))", legend: "{{status}}" },
      ],
    },
    {
      title: "Versions and starts",
      description:
        "How many processes run which version: two versions for long mean a deploy that is stuck. A start that nobody asked for is a crash: HopRestarting.",
      unit: "short",
      show: "lines",
      queries: [
        { expr: "count by (version) (hop_build_info)", legend: "{{version}}" },
        {
          expr: 'sum(changes(process_start_time_seconds{job=~"hop|hop-work"}[$__rate_interval]))',
          legend: "starts",
        },
      ],
    },
  ],
};

const FAST: Row = {
  question: "Is it fast?",
  panels: [
    {
      title: "Time to redirect",
      description:
        "From the request to its answer, the click's way to a durable place included. p99 above 0.25 s: HopRedirectsSlow. A step to about HOP_CLICKS_WAIT_MS (50 ms) means that the spool is in use.",
      unit: "s",
      show: "lines",
      queries: [0.5, 0.95, 0.99].map((share) => quantile(share, "hop_redirect_seconds")),
    },
    {
      title: "Time of API requests",
      description:
        "All routes together. Statistics bring the totals up to date first, so they are slower than links.",
      unit: "s",
      show: "lines",
      queries: [0.5, 0.99].map((share) => quantile(share, "hop_http_request_seconds")),
    },
    {
      title: "Cache hits",
      description:
        "Lookups answered by the process itself, of all. Low right after a start; low for long means more links in use than HOP_CACHE_ENTRIES, or a flood of codes that do not exist.",
      unit: "percentunit",
      show: "lines",
      queries: [
        {
          expr: 'sum by (tier) (rate(hop_cache_requests_total{result=~"hit|negative_hit|stale"}[$__rate_interval])) / sum by (tier) (rate(hop_cache_requests_total[$__rate_interval]))',
          legend: "{{tier}}",
        },
      ],
    },
    {
      title: "Time until an edit is seen",
      description:
        "From the commit of a change in Postgres to a server forgetting the old target. p99 above 0.1 s: HopHearsLate.",
      unit: "s",
      show: "lines",
      queries: [0.5, 0.99].map((share) => quantile(share, "hop_invalidation_seconds")),
    },
    {
      title: "Clicks in a batch",
      description:
        "Clicks that share one write. It grows with load, because what arrives during a write is the next batch. 1 at all times is an idle server, or the inline recorder.",
      unit: "short",
      show: "lines",
      queries: [
        {
          expr: "sum by (job) (rate(hop_click_batch_size_sum[$__rate_interval])) / sum by (job) (rate(hop_click_batch_size_count[$__rate_interval]))",
          legend: "{{job}}",
        },
      ],
    },
    {
      title: "Processor time",
      description:
        "Cores that each process uses. One process uses one core at most: near 1 it is the limit, and another server or HOP_WORKERS helps.",
      unit: "short",
      show: "lines",
      queries: [
        {
          expr: 'sum by (instance) (rate(process_cpu_seconds_total{job=~"hop|hop-work"}[$__rate_interval]))',
          legend: "{{instance}}",
        },
      ],
    },
  ],
};

const LOSING: Row = {
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

const FILLING: Row = {
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

/** In the order of the page. */
export const ROWS: readonly Row[] = [UP, FAST, LOSING, FILLING];
