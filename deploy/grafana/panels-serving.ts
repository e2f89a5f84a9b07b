// Is it up, and is it fast?
import type { Query, Row } from "./panel.ts";

const quantile = (share: number, metric: string): Query => ({
  expr: `histogram_quantile(${share}, sum by (le) (rate(${metric}_bucket[$__rate_interval])))`,
  legend: `p${share * 100}`,
});

export const UP: Row = {
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
      title: "Processes that serve",
      description:
        "Of all hosts; a server of one process counts as one. A host may answer Prometheus while its processes still start, and no link works: HopGone.",
      unit: "short",
      show: { redBelow: 1 },
      queries: [
        {
          expr: 'sum(hop_processes{job="hop", state="ready"}) or count(up{job="hop"} == 1)',
          legend: "processes",
        },
      ],
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
        {
          expr: 'sum(increase(hop_process_restarts_total{why="crash"}[$__rate_interval])) or vector(0)',
          legend: "crashes among HOP_WORKERS",
        },
      ],
    },
  ],
};

export const FAST: Row = {
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
      title: "Lookups that miss a tier",
      description:
        "bypassed: the cache in Redis does not answer in time and is passed by (HopCacheBypassed). lag: seconds that the read replica is behind; further than HOP_REPLICA_LAG_MAX_MS it is not used (HopReplicaBehind), and there is none without HOP_DATABASE_READ_URL.",
      unit: "short",
      show: "lines",
      queries: [
        {
          expr: 'sum(rate(hop_cache_requests_total{result="bypassed"}[$__rate_interval]))',
          legend: "bypassed a second",
        },
        { expr: 'max(hop_cache_breaker_open{job="hop"})', legend: "passed by" },
        { expr: "max(hop_replica_lag_seconds)", legend: "lag" },
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
