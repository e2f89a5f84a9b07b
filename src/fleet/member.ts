// One of several processes, on its own side: answers its supervisor, and ends when that says so or is gone.
import type { Manner } from "./drain.ts";
import { type MigrationStage, type ProcessMessage, supervisorMessage } from "./messages.ts";

/** The pipe to the supervisor. */
export interface Channel {
  /** Resolves when the message is written, or cannot be because the supervisor is gone. */
  send(message: ProcessMessage): Promise<void>;
  onMessage(listener: (message: unknown) => void): void;
  /** The supervisor is gone, however it went. */
  onClosed(listener: () => void): void;
}

/** What a process tells about itself. */
export interface Facts {
  /** As prom-client has them in JSON. */
  metrics(): Promise<unknown>;
  /** The status and the body of /readyz. */
  health(): Promise<{ status: number; body: unknown }>;
  drain(): void;
}

export class Member {
  /** Resolves when this process is to stop. */
  readonly order: Promise<Manner>;
  readonly #obey: (manner: Manner) => void;
  readonly #channel: Channel;
  #facts: Facts | undefined;
  #draining = false;

  constructor(channel: Channel) {
    const { promise, resolve } = Promise.withResolvers<Manner>();
    this.order = promise;
    this.#obey = resolve;
    this.#channel = channel;
    channel.onMessage((message) => this.#hear(message));
    // With the supervisor goes whoever would start hop again: the host stops.
    channel.onClosed(() => resolve("drain"));
  }

  /** Until "migrated" it is not expected to become ready. */
  async tell(kind: MigrationStage): Promise<void> {
    await this.#channel.send({ kind });
  }

  /** From now on it can answer. */
  async introduce(facts: Facts, ready: Extract<ProcessMessage, { kind: "ready" }>): Promise<void> {
    this.#facts = facts;
    if (this.#draining) facts.drain();
    await this.#channel.send(ready);
  }

  #hear(message: unknown): void {
    const parsed = supervisorMessage.safeParse(message);
    // A supervisor of another version of hop may say what this one does not know.
    if (!parsed.success) return;
    const said = parsed.data;
    if (said.kind === "stop") this.#obey(said.manner);
    else if (said.kind === "drain") {
      this.#draining = true;
      this.#facts?.drain();
    } else void this.#answer(said.id, said.what);
  }

  async #answer(id: number, what: "metrics" | "health"): Promise<void> {
    const facts = this.#facts;
    // A process that has not started yet says nothing, and is not waited for.
    if (facts === undefined) return;
    const body = what === "metrics" ? await facts.metrics() : await facts.health();
    await this.#channel.send({ kind: "answer", id, body });
  }
}
