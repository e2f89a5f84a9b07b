// Clicks and their ledger in memory: the other implementation of the clicks domain's ports.
import type { Click, ClickBatch } from "../../src/clicks/click.ts";
import { type LedgerFacts, MISSING_SHOWN, type ProducerFacts } from "../../src/clicks/ledger.ts";
import type { ClickReader, ClickStore, Producer } from "../../src/clicks/ports.ts";
import type { Rollup } from "../../src/clicks/rollup.ts";
import type { Interval, StatsFacts, StatsQuery } from "../../src/clicks/stats.ts";

interface KnownProducer extends Producer {
  lastSeq: number | null;
  dropped: Readonly<Record<string, number>>;
}

export class MemoryClickStore implements ClickStore, ClickReader, Rollup {
  readonly #producers = new Map<string, KnownProducer>();
  readonly #batches = new Map<string, ClickBatch>();
  /** Batches whose clicks are in the totals. */
  readonly #totalled = new Set<ClickBatch>();

  async openProducer(producer: Producer): Promise<void> {
    if (this.#producers.has(producer.id)) return;
    this.#producers.set(producer.id, { ...producer, lastSeq: null, dropped: {} });
  }

  async closeProducer(id: string, lastSeq: number, dropped: Readonly<Record<string, number>>): Promise<void> {
    const producer = this.#producers.get(id);
    if (producer !== undefined) Object.assign(producer, { lastSeq, dropped: { ...dropped } });
  }

  async storeBatch(batch: ClickBatch): Promise<void> {
    const id = `${batch.producer} ${batch.seq}`;
    if (!this.#batches.has(id)) this.#batches.set(id, { ...batch, clicks: [...batch.clicks] });
  }

  async rollUp(maxClicks: number): Promise<number> {
    let clicks = 0;
    for (const batch of this.#batches.values()) {
      if (clicks >= maxClicks) break;
      if (this.#totalled.has(batch)) continue;
      this.#totalled.add(batch);
      clicks += batch.clicks.length;
    }
    return clicks;
  }

  /** Clicks of a link that are in the totals. */
  totalOf(linkId: number): number {
    return this.#inTotals.filter((click) => click.linkId === linkId).length;
  }

  /** Everything stored, in the order of storing. */
  get stored(): readonly Click[] {
    return [...this.#batches.values()].flatMap((batch) => batch.clicks);
  }

  async ledgerFacts(): Promise<LedgerFacts> {
    const clicks = this.stored.length;
    const totalledClicks = this.#inTotals.length;
    return {
      producers: [...this.#producers.values()].map((producer) => this.#factsOf(producer)),
      batchClicks: clicks,
      storedClicks: clicks,
      totalledClicks,
      tailClicks: clicks - totalledClicks,
    };
  }

  async statsFacts(linkId: number, query: StatsQuery): Promise<StatsFacts> {
    const asked = (click: Click) =>
      click.linkId === linkId &&
      click.atMs >= query.fromMs &&
      click.atMs < query.toMs &&
      { include: true, exclude: !click.profile.bot, only: click.profile.bot }[query.bots];
    const clicks = this.stored.filter(asked);
    const buckets = [
      ...Map.groupBy(this.#inTotals.filter(asked), (click) => bucketOf(click.atMs, query.interval)),
    ];
    const values = [...Map.groupBy(clicks, (click) => click.profile[query.by])];
    return {
      buckets: buckets
        .map(([startMs, members]) => ({ startMs, clicks: members.length, unique: visitors(members) }))
        .toSorted((a, b) => a.startMs - b.startMs),
      unique: visitors(clicks),
      top: values
        .map(([value, members]) => ({ value, clicks: members.length }))
        .toSorted((a, b) => b.clicks - a.clicks || (a.value < b.value ? -1 : 1))
        .slice(0, query.topLimit),
      asOfMs: Date.now(),
    };
  }

  get #inTotals(): Click[] {
    return [...this.#totalled].flatMap((batch) => batch.clicks);
  }

  #factsOf({ id, recorder, ack, lastSeq, dropped }: KnownProducer): ProducerFacts {
    const batches = [...this.#batches.values()].filter((batch) => batch.producer === id);
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

function visitors(clicks: readonly Click[]): number {
  return new Set(clicks.map((click) => click.visitor)).size;
}

function bucketOf(atMs: number, interval: Interval): number {
  const iso = new Date(atMs).toISOString();
  if (interval === "hour") return Date.parse(`${iso.slice(0, 13)}:00:00Z`);
  return Date.parse(interval === "day" ? iso.slice(0, 10) : `${iso.slice(0, 7)}-01`);
}
