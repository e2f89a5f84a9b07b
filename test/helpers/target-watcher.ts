// Follows one link again and again and knows when each of its targets was first seen, and whether an old one came back.
import { afterEach } from "bun:test";
import { type Answer, HttpConnection, type Unanswered } from "./http-connection.ts";
import { waitFor } from "./wait-for.ts";

interface Sighting {
  /** When the first answer with it had arrived. */
  readonly seenAtMs: number;
  /** Its place among the targets in the order of their first sight. */
  readonly order: number;
}

/** "404" and the like where there was no redirect. */
type Seen = string;

const PATIENCE_MS = 15_000;
/** Between two looks: back to back each watcher asks as fast as hop answers, and a test would measure its own load. */
const PAUSE_MS = 1;
/** The kernel gives a connection to whichever process it likes; this many without meeting all of them is no chance. */
const MAX_CONNECTIONS = 200;

const watching = new Set<TargetWatcher>();

// Those of a test that failed would poll on beside the tests after it, and be cut off when hop stops.
afterEach(async () => {
  await Promise.allSettled([...watching].map((watcher) => watcher.stop()));
});

/** Looks every millisecond or two, on connections of its own. */
export class TargetWatcher {
  /** Sentences: an answer to a request that was sent after a newer target had been seen. */
  readonly relapses: string[] = [];
  /** How long each of its requests took: on a machine that is too busy for a redirect no edit is seen sooner. */
  readonly looksMs: number[] = [];
  readonly #sightings = new Map<Seen, Sighting>();
  #newest: { seen: Seen; order: number } | undefined;
  #stopping = false;
  #failure: unknown;
  #pollers: Promise<void>[] = [];

  static watch(url: string, code: string, pollers = 2): TargetWatcher {
    const connections = Array.from({ length: pollers }, () => connect(url));
    return new TargetWatcher(connections, code);
  }

  /** One for each process that serves there, told apart by the ids that each gives its requests. */
  static async watchEveryProcess(url: string, code: string, processes: number): Promise<TargetWatcher[]> {
    const connections = new Map<string, HttpConnection>();
    for (let opened = 0; connections.size < processes; opened++) {
      if (opened === MAX_CONNECTIONS)
        throw new Error(`${MAX_CONNECTIONS} connections met ${connections.size} of ${processes} processes`);
      const connection = await connect(url);
      const process = processOf(await connection.get(code));
      if (connections.has(process)) connection.close();
      else connections.set(process, connection);
    }
    return [...connections.values()].map(
      (connection) => new TargetWatcher([Promise.resolve(connection)], code),
    );
  }

  private constructor(connections: readonly Promise<HttpConnection>[], code: string) {
    watching.add(this);
    this.#pollers = connections.map((connection) =>
      this.#poll(connection, code).catch((error: unknown) => {
        this.#failure ??= error;
      }),
    );
  }

  /** Milliseconds from `sinceMs` (performance.now) until this target or status was first seen; 0 when it was before. */
  async staleness(seen: Seen, sinceMs: number, timeoutMs = 5_000): Promise<number> {
    const look = () => {
      if (this.#failure !== undefined) throw this.#failure;
      return this.#sightings.get(seen);
    };
    const sighting = await waitFor(`${seen} to be seen`, look, { timeoutMs, everyMs: 1 });
    return Math.max(0, sighting.seenAtMs - sinceMs);
  }

  /** @throws what ended its polling early */
  async stop(): Promise<void> {
    this.#stopping = true;
    watching.delete(this);
    await Promise.all(this.#pollers);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #poll(opening: Promise<HttpConnection>, code: string): Promise<void> {
    const connection = await opening;
    while (!this.#stopping) {
      const newestBefore = this.#newest;
      const answer = await connection.get(code);
      if (typeof answer === "string") throw new Error(`the connection of a watcher is ${answer}`);
      this.looksMs.push(answer.endedAtMs - answer.startedAtMs);
      this.#note(
        answer.headers.get("location") ?? String(answer.status),
        answer.endedAtMs,
        newestBefore?.order ?? 0,
      );
      await Bun.sleep(PAUSE_MS);
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

async function connect(url: string): Promise<HttpConnection> {
  const connection = await HttpConnection.open(url, PATIENCE_MS);
  if (connection === undefined) throw new Error(`${url} does not answer`);
  return connection;
}

/** What all request ids of one process begin with. */
function processOf(answer: Answer | Unanswered): string {
  const id = typeof answer === "string" ? undefined : answer.headers.get("x-request-id");
  const [process] = id?.split("-") ?? [];
  if (process === undefined) throw new Error("an answer has no request id");
  return process;
}
