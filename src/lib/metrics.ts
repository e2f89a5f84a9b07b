// Counters and histograms that cost almost nothing to count with, exported through prom-client.
import { Counter, type Metric, type Registry } from "prom-client";

/**
 * A counter over a closed set of label values. Counting is one addition on a plain array; prom-client, whose own `inc`
 * hashes labels every time (measured: 0.3 µs), is only asked when the metrics are read.
 */
export class FastCounter<Label extends string> {
  readonly #counts: Record<Label, number>;

  constructor(options: {
    name: string;
    help: string;
    /** The one label's name, or all labels of a value that stands for several. */
    label: string | ((value: Label) => Readonly<Record<string, string>>);
    values: readonly Label[];
    registry: Registry;
  }) {
    const { name, help, label, values, registry } = options;
    const labelsOf = typeof label === "string" ? (value: Label) => ({ [label]: value }) : label;
    const labelNames = new Set(values.flatMap((value) => Object.keys(labelsOf(value))));
    this.#counts = Object.fromEntries(values.map((value) => [value, 0])) as Record<Label, number>;
    const counts = this.#counts;
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        this.reset();
        for (const value of values) this.inc(labelsOf(value), counts[value]);
      },
    });
  }

  add(label: Label, count = 1): void {
    this.#counts[label] += count;
  }

  value(label: Label): number {
    return this.#counts[label];
  }
}

/** Seconds from 50 µs to 5 s: a cached redirect at one end, a timeout at the other. */
export const LATENCY_BUCKETS = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

/** Sizes from one to 4,096 in powers of two. */
export const SIZE_BUCKETS = Array.from({ length: 13 }, (_, power) => 2 ** power);

/** A histogram without labels; observing costs 20 ns where prom-client's own costs 400 ns (measured). */
export class FastHistogram {
  readonly #name: string;
  readonly #help: string;
  /** Upper bounds, ascending. */
  readonly #bounds: readonly number[];
  /** Observations per bucket, not accumulated; the last one is above every bound. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(options: { name: string; help: string; buckets: readonly number[]; registry: Registry }) {
    this.#name = options.name;
    this.#help = options.help;
    this.#bounds = options.buckets;
    this.#counts = new Float64Array(options.buckets.length + 1);
    // The registry only asks a metric for its name and its values.
    options.registry.registerMetric({ name: options.name, get: () => this.#export() } as unknown as Metric);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  async #export() {
    let count = 0;
    const buckets = [...this.#counts].map((inBucket, index) => {
      count += inBucket;
      const labels = { le: this.#bounds[index] ?? "+Inf" };
      return { metricName: `${this.#name}_bucket`, labels, value: count };
    });
    const values = [
      ...buckets,
      { metricName: `${this.#name}_sum`, labels: {}, value: this.#sum },
      { metricName: `${this.#name}_count`, labels: {}, value: count },
    ];
    return { name: this.#name, help: this.#help, type: "histogram", aggregator: "sum", values };
  }
}
