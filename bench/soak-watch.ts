// What is read of the processes of a soak while it lasts: their memory every few seconds, and the CPU time that each took.
import { interval } from "../src/lib/loop.ts";
import type { Child } from "./child.ts";
import { cpuSeconds, postgresCpuSeconds, processesOf, residentBytes } from "./processes.ts";
import type { MemorySample } from "./soak-laws.ts";

export interface Watched {
  readonly hop: Child;
  readonly dataDir: string;
  readonly worker: Child | undefined;
  readonly redis: Child | undefined;
  /** Links that were asked for so far. */
  readonly links: () => number;
}

/** A long run has not more samples than a slope needs. */
const SAMPLES = 400;
const LEAST_SAMPLE_MS = 1_000;

export class Watch {
  readonly #watched: Watched;
  readonly #memory: Record<string, MemorySample[]> = {};
  readonly #stopping = new AbortController();
  readonly #watching: Promise<void>;

  constructor(watched: Watched, seconds: number) {
    this.#watched = watched;
    this.#watching = this.#sample(Math.max(LEAST_SAMPLE_MS, (seconds * 1_000) / SAMPLES));
  }

  /** By process; nothing where the system does not tell. */
  get memory(): Readonly<Record<string, readonly MemorySample[]>> {
    return this.#memory;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  /** CPU seconds so far of each that can be known, by name. */
  async cpu(): Promise<Readonly<Record<string, number>>> {
    const { hop, dataDir, worker, redis } = this.#watched;
    const { user, system } = process.cpuUsage();
    const times = {
      hop: await cpuSeconds(await processesOf(hop.pid, dataDir)),
      Postgres: await postgresCpuSeconds(dataDir),
      "hop work": worker && (await cpuSeconds([worker.pid])),
      Redis: redis && (await cpuSeconds([redis.pid])),
      "this generator": (user + system) / 1e6,
    };
    return Object.fromEntries(
      Object.entries(times).flatMap(([name, seconds]) => (seconds === undefined ? [] : [[name, seconds]])),
    );
  }

  async #sample(everyMs: number): Promise<void> {
    const { hop, dataDir, worker, links } = this.#watched;
    do {
      this.#note("hop serve", await residentBytes(await processesOf(hop.pid, dataDir)), links());
      if (worker) this.#note("hop work", await residentBytes([worker.pid]), links());
    } while (await interval(everyMs, this.#stopping.signal));
  }

  #note(name: string, bytes: number | undefined, links: number): void {
    if (bytes === undefined) return;
    (this.#memory[name] ??= []).push({ atMs: performance.now(), bytes, links });
  }
}
