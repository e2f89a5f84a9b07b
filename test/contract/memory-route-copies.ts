// Copies of routes in memory: the other implementation of RouteCopies, on a clock that tests may move.
import type { Clock } from "../../src/lib/clock.ts";
import type { Recalled, RouteCopies, RouteCopy, RouteFence } from "../../src/links/ports.ts";

interface Kept {
  readonly news: RouteCopy | RouteFence;
  readonly untilMs: number;
}

export class MemoryRouteCopies implements RouteCopies {
  readonly #clock: Clock;
  #kept = new Map<string, Kept>();
  readonly #leasedUntilMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async recall(codes: readonly string[], leaseMs: number): Promise<readonly Recalled[]> {
    return codes.map((code) => this.#recallOne(code, leaseMs));
  }

  async keep(news: readonly (RouteCopy | RouteFence)[]): Promise<readonly boolean[]> {
    return news.map((each) => this.#keepOne(each));
  }

  async check(): Promise<void> {}

  /** What it has now, to go back to later as a restarted server with an old disk does. */
  snapshot(): () => void {
    const kept = new Map(this.#kept);
    return () => {
      this.#kept = new Map(kept);
    };
  }

  #find(code: string): Kept | undefined {
    const kept = this.#kept.get(code);
    return kept !== undefined && kept.untilMs > this.#clock() ? kept : undefined;
  }

  #recallOne(code: string, leaseMs: number): Recalled {
    const asOfMs = this.#clock();
    const news = this.#find(code)?.news;
    const version = news?.version ?? 0;
    if (news !== undefined && "bornMs" in news) {
      return { kind: "copy", route: news.route, version, ageMs: asOfMs - news.bornMs, asOfMs };
    }
    if ((this.#leasedUntilMs.get(code) ?? 0) > asOfMs) return { kind: "busy", version, asOfMs };
    this.#leasedUntilMs.set(code, asOfMs + leaseMs);
    return { kind: "mine", version, asOfMs };
  }

  #keepOne(news: RouteCopy | RouteFence): boolean {
    const nowMs = this.#clock();
    const untilMs = "bornMs" in news ? news.bornMs + news.lifeMs : nowMs + news.lifeMs;
    const before = this.#find(news.code)?.news;
    this.#leasedUntilMs.delete(news.code);
    if (untilMs <= nowMs || (before !== undefined && !isNewer(news, before))) return false;
    this.#kept.set(news.code, { news, untilMs });
    return true;
  }
}

function isNewer(news: RouteCopy | RouteFence, before: RouteCopy | RouteFence): boolean {
  if (news.version !== before.version) return news.version > before.version;
  return bornMs(news) > bornMs(before);
}

function bornMs(news: RouteCopy | RouteFence): number {
  return "bornMs" in news ? news.bornMs : 0;
}
