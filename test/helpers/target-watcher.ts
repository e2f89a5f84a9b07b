// Follows one link again and again and knows when each of its targets was first seen, and whether an old one came back.
import { HttpConnection } from "./http-connection.ts";
import { waitFor } from "./wait-for.ts";

interface Sighting {
  /** When the first answer with it had arrived. */
  readonly seenAtMs: number;
  /** Its place among the targets in the order of their first sight. */
  readonly order: number;
}

/** "404" and the like where there was no redirect. */
type Seen = string;

/** Several pollers, so that a request is always on its way. */
export class TargetWatcher {
  /** Sentences: an answer to a request that was sent after a newer target had been seen. */
  readonly relapses: string[] = [];
  polls = 0;
  readonly #sightings = new Map<Seen, Sighting>();
  #newest: { seen: Seen; order: number } | undefined;
  #stopping = false;
  #pollers: Promise<void>[] = [];

  static watch(url: string, code: string, pollers = 2): TargetWatcher {
    const watcher = new TargetWatcher();
    watcher.#pollers = Array.from({ length: pollers }, () => watcher.#poll(url, code));
    return watcher;
  }

  /** Milliseconds from `sinceMs` (performance.now) until this target or status was first seen; 0 when it was before. */
  async staleness(seen: Seen, sinceMs: number, timeoutMs = 5_000): Promise<number> {
    const sighting = await waitFor(`${seen} to be seen`, () => this.#sightings.get(seen), {
      timeoutMs,
      everyMs: 1,
    });
    return Math.max(0, sighting.seenAtMs - sinceMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#pollers);
  }

  async #poll(url: string, code: string): Promise<void> {
    const connection = await HttpConnection.open(url, 15_000);
    if (connection === undefined) throw new Error(`${url} does not answer`);
    while (!this.#stopping) {
      const newestBefore = this.#newest;
      const answer = await connection.get(code);
      if (typeof answer === "string") throw new Error(`the connection of a watcher is ${answer}`);
      this.polls++;
      this.#note(
        answer.headers.get("location") ?? String(answer.status),
        answer.endedAtMs,
        newestBefore?.order ?? 0,
      );
    }
    connection.close();
  }

  #note(seen: Seen, seenAtMs: number, orderBefore: number): void {
    const known = this.#sightings.get(seen);
    if (known === undefined) {
      const order = this.#sightings.size;
      this.#sightings.set(seen, { seenAtMs, order });
      this.#newest = { seen, order };
    } else if (known.order < orderBefore) {
      this.relapses.push(`${seen} was seen after ${this.#newest?.seen}`);
    }
  }
}

/** "p50 1.2 ms, p99 3.4 ms, max 5.6 ms" and its parts. */
export function summarise(samples: readonly number[]): { p99: number; max: number; text: string } {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const [p50, p99, max] = [at(0.5), at(0.99), sorted.at(-1) ?? 0];
  const [shownP50, shownP99, shownMax] = [p50, p99, max].map((ms) => `${ms.toFixed(1)} ms`);
  return { p99, max, text: `p50 ${shownP50}, p99 ${shownP99}, max ${shownMax} of ${samples.length}` };
}
