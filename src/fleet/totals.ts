// The metrics of all processes of a host, added up; what departed processes counted stays in the sums.
import { AggregatorRegistry, type MetricObject, type Registry } from "prom-client";
import { type Metric, metricsSchema } from "./messages.ts";

/** What can tell its metrics. */
export interface Counting {
  readonly metrics: readonly Metric[];
  /** Brings `metrics` up to date; false when it could not in time, and then they are those of the last time. */
  count(): Promise<boolean>;
}

/** Where adding up says nothing, and what is shown instead. prom-client's own metrics name no way, or leave them out. */
const WAYS: Readonly<Record<string, string>> = {
  process_start_time_seconds: "min",
  process_max_fds: "min",
};

export class FleetTotals {
  readonly #own: Registry;
  readonly #onMissing: () => void;
  /** Counters and histograms of those that are gone; several until they are next added up. */
  #departed: (readonly Metric[])[] = [];
  #folding = false;

  /** @param own metrics of the supervisor, one more of the processes of the host */
  constructor(own: Registry, onMissing: () => void) {
    this.#own = own;
    this.#onMissing = onMissing;
  }

  get contentType(): string {
    return this.#own.contentType;
  }

  /** A counter must not fall because a process has ended. */
  keep(metrics: readonly Metric[]): void {
    const counted = metrics.filter(({ type, aggregator }) => GROWING.has(type) && aggregator === "sum");
    if (counted.length > 0) this.#departed.push(counted);
  }

  /** In the text format of Prometheus. `living` may lose a process meanwhile, which then is among the departed. */
  async read(living: ReadonlySet<Counting>): Promise<string> {
    const answered = await Promise.all([...living].map((process) => process.count()));
    for (const inTime of answered) if (!inTime) this.#onMissing();
    await this.#fold();
    const own = metricsSchema.parse(await this.#own.getMetricsAsJSON());
    const all = [own, ...[...living].map(({ metrics }) => metrics), ...this.#departed];
    return aggregate(all).metrics();
  }

  /** Keeps one sum instead of one list for each process that ever ended. */
  async #fold(): Promise<void> {
    const folded = this.#departed;
    if (folded.length < 2 || this.#folding) return;
    this.#folding = true;
    const sum = metricsSchema.parse(await aggregate(folded).getMetricsAsJSON());
    // Who departed meanwhile stands behind.
    this.#departed = [sum, ...this.#departed.slice(folded.length)];
    this.#folding = false;
  }
}

const GROWING = new Set(["counter", "histogram"]);

function aggregate(all: readonly (readonly Metric[])[]): Registry {
  const metrics = all.map((list) =>
    list.map((metric) => ({ ...metric, aggregator: WAYS[metric.name] ?? metric.aggregator })),
  );
  // The types of prom-client say "object".
  return AggregatorRegistry.aggregate(metrics as unknown as MetricObject[]);
}
