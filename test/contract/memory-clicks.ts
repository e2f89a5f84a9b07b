// Clicks and their ledger in memory: the other implementation of the clicks domain's ports.
import type { Click, ClickBatch, Producer } from "../../src/clicks/click.ts";
import { type LedgerFacts, MISSING_SHOWN, type ProducerFacts } from "../../src/clicks/ledger.ts";
import type { ClickReader, ClickStore } from "../../src/clicks/ports.ts";
import type { Rollup, RollupMood } from "../../src/clicks/rollup.ts";
import type { BatchName } from "../../src/clicks/transit.ts";
import type { Dimension, Interval, StatsFacts, StatsQuery } from "../../src/clicks/stats.ts";

interface KnownProducer extends Producer {
  lastSeq: number | null;
  dropped: Readonly<Record<string, number>>;
}

export class MemoryClickStore implements ClickStore, ClickReader, Rollup {
  readonly #producers = new Map<string, KnownProducer>();
  readonly #batches = new Map<string, ClickBatch>();
  /** Batches whose clicks are in the totals, by round. */
  readonly #rounds: ClickBatch[][] = [];
  /** Rounds whose clicks are in the dimensions. */
  #sortedRounds = 0;

  async closeProducer(
    producer: Producer,
    lastSeq: number,
    dropped: Readonly<Record<string, number>>,
  ): Promise<void> {
    this.#producers.set(producer.id, { ...producer, lastSeq, dropped: { ...dropped } });
  }

  async storeBatches(batches: readonly ClickBatch[]): Promise<number> {
    let stored = 0;
    for (const batch of batches) {
      const { producer, seq, clicks } = batch;
      const id = `${producer.id} ${seq}`;
      if (!this.#producers.has(producer.id))
        this.#producers.set(producer.id, { ...producer, lastSeq: null, dropped: {} });
      if (this.#batches.has(id)) continue;
      this.#batches.set(id, { ...batch, clicks: [...clicks] });
      stored += clicks.length;
    }
    return stored;
  }

  async rollUpTotals(maxClicks: number, mood: RollupMood): Promise<number> {
    const totalled = new Set(this.#rounds.flat());
    const waiting = [...this.#batches.values()].filter((batch) => !totalled.has(batch));
    const round = take(waiting, sizeOf, maxClicks, mood);
    if (round.length > 0) this.#rounds.push(round);
    return sum(round.map(sizeOf));
  }

  async rollUpDimensions(maxClicks: number, mood: RollupMood): Promise<number> {
    const waiting = this.#rounds.slice(this.#sortedRounds);
    const rounds = take(waiting, (round) => sum(round.map(sizeOf)), maxClicks, mood);
    this.#sortedRounds += rounds.length;
    return sum(rounds.flat().map(sizeOf));
  }

  /** Clicks of a link that are in the totals. */
  totalOf(linkId: number): number {
    return this.#totalled.filter((click) => click.linkId === linkId).length;
  }

  /** Everything stored, in the order of storing. */
  get stored(): readonly Click[] {
    return [...this.#batches.values()].flatMap((batch) => batch.clicks);
  }

  async ledgerFacts(moving: readonly BatchName[] = []): Promise<LedgerFacts> {
    const clicks = this.stored.length;
    const [totalledClicks, sortedClicks] = [this.#totalled.length, this.#sorted.length];
    return {
      producers: [...this.#producers.values()].map((producer) => this.#factsOf(producer)),
      batchClicks: clicks,
      storedClicks: clicks,
      queuedClicks: clicks - totalledClicks,
      retiredClicks: 0,
      totalledClicks,
      sortedClicks,
      unsortedClicks: totalledClicks - sortedClicks,
      landed: moving.filter(({ producer, seq }) => this.#batches.has(`${producer} ${seq}`)),
    };
  }

  async statsFacts(linkId: number, query: StatsQuery): Promise<StatsFacts> {
    const asked = ({ linkId: id, atMs, profile: { agent } }: Click) =>
      id === linkId &&
      atMs >= query.fromMs &&
      atMs < query.toMs &&
      { include: true, exclude: !agent.bot, only: agent.bot }[query.bots];
    const bucket = (click: Click) => bucketOf(click.atMs, query.interval);
    const firsts = Map.groupBy(firstVisits(this.#sorted).filter(asked), bucket);
    const values = [...Map.groupBy(this.#sorted.filter(asked), (click) => valueOf(click, query.by))];
    return {
      buckets: [...Map.groupBy(this.#totalled.filter(asked), bucket)]
        .map(([startMs, members]) => ({
          startMs,
          clicks: members.length,
          unique: firsts.get(startMs)?.length ?? 0,
        }))
        .toSorted((a, b) => a.startMs - b.startMs),
      unique: sum([...firsts.values()].map((members) => members.length)),
      top: values
        .map(([value, members]) => ({ value, clicks: members.length }))
        .toSorted((a, b) => b.clicks - a.clicks || (a.value < b.value ? -1 : 1))
        .slice(0, query.topLimit),
      asOfMs: Date.now(),
    };
  }

  get #totalled(): Click[] {
    return this.#rounds.flat().flatMap((batch) => batch.clicks);
  }

  get #sorted(): Click[] {
    return this.#rounds
      .slice(0, this.#sortedRounds)
      .flat()
      .flatMap((batch) => batch.clicks);
  }

  #factsOf({ id, recorder, ack, lastSeq, dropped }: KnownProducer): ProducerFacts {
    const batches = [...this.#batches.values()].filter((batch) => batch.producer.id === id);
    const seqs = new Set(batches.map((batch) => batch.seq));
    const maxSeq = Math.max(0, ...seqs);
    const expected = Array.from({ length: Math.max(lastSeq ?? 0, maxSeq) }, (_, index) => index + 1);
    return {
      id,
      recorder,
      ack,
      ended: lastSeq !== null,
      lastSeq,
      maxSeq,
      batches: seqs.size,
      clicks: batches.reduce((sum, batch) => sum + batch.clicks.length, 0),
      dropped,
      missing: expected.filter((seq) => !seqs.has(seq)).slice(0, MISSING_SHOWN),
    };
  }
}

function sizeOf(batch: ClickBatch): number {
  return batch.clicks.length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** From the front until there is enough; the hurried never take too much. */
function take<T>(waiting: readonly T[], size: (one: T) => number, enough: number, mood: RollupMood): T[] {
  let running = 0;
  return waiting.filter((one) => {
    const before = running;
    running += size(one);
    return mood === "hurried" ? running <= enough : before < enough;
  });
}

/** Of each visitor of a link and day the first click. */
function firstVisits(clicks: readonly Click[]): Click[] {
  const firsts = new Map<string, Click>();
  for (const click of clicks.toSorted((a, b) => a.atMs - b.atMs)) {
    const key = `${click.linkId} ${bucketOf(click.atMs, "day")} ${click.visitor}`;
    if (!firsts.has(key)) firsts.set(key, click);
  }
  return [...firsts.values()];
}

function valueOf({ profile }: Click, by: Dimension): string {
  return by === "browser" || by === "os" || by === "device" ? profile.agent[by] : profile[by];
}

function bucketOf(atMs: number, interval: Interval): number {
  const iso = new Date(atMs).toISOString();
  if (interval === "hour") return Date.parse(`${iso.slice(0, 13)}:00:00Z`);
  return Date.parse(interval === "day" ? iso.slice(0, 10) : `${iso.slice(0, 7)}-01`);
}
