// One of several processes, as its supervisor sees it: started, asked, stopped, and never waited for without a bound.
import { z } from "zod";
import { DeadlineError, withDeadline } from "../lib/deadline.ts";
import { interval } from "../lib/loop.ts";
import {
  type Metric,
  metricsSchema,
  processMessage,
  type Ready,
  type SupervisorMessage,
} from "./messages.ts";
import type { Manner } from "./drain.ts";

/** How a process ended; a signal when it was killed. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | number | null;
}

/** What was written to a channel is read within microseconds. */
const LAST_WORDS_MS = 1_000;

export interface ProcessOptions {
  /** Its place among the processes, from 1. */
  readonly slot: number;
  readonly command: readonly string[];
  /** A process that is not ready after this is killed; what it takes to migrate does not count. */
  readonly startTimeoutMs: number;
  readonly answerTimeoutMs: number;
  /** After this a process that was told to stop is killed. */
  readonly stopTimeoutMs: number;
  readonly onStrangeMessage: (error: unknown) => void;
}

export class ServingProcess {
  readonly pid: number;
  readonly slot: number;
  readonly startedAt = new Date();
  /** Resolves with what it says when it serves; rejects when it ends or takes too long before that. */
  readonly ready: Promise<Ready>;
  readonly ended: Promise<Ending>;
  /** What it counted, as far as it has said. */
  metrics: readonly Metric[] = [];
  #state: "starting" | "ready" | "leaving" | "ended" = "starting";
  readonly #options: ProcessOptions;
  readonly #child: Bun.Subprocess;
  readonly #becameReady = Promise.withResolvers<Ready>();
  readonly #disconnected = Promise.withResolvers<void>();
  readonly #waiting = new Map<number, (body: unknown) => void>();
  #lastQuestion = 0;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #saidFarewell = false;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.slot = options.slot;
    this.#child = Bun.spawn([...options.command], {
      stdio: ["ignore", "inherit", "inherit"],
      serialization: "json",
      ipc: (message: unknown) => this.#hear(message),
      onDisconnect: () => this.#disconnected.resolve(),
    });
    this.pid = this.#child.pid;
    this.ended = this.#end();
    this.#expectStart();
    this.ready = this.#becameReady.promise;
    // Whoever started it hears of a failure through `ready`; nobody has to listen.
    this.ready.catch(() => undefined);
  }

  get state(): "starting" | "ready" | "leaving" | "ended" {
    return this.#state;
  }

  /** @throws DeadlineError when it does not answer in time */
  async ask(what: "metrics" | "health"): Promise<unknown> {
    const id = ++this.#lastQuestion;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    try {
      this.#say({ kind: "ask", id, what });
      return await withDeadline(promise, this.#options.answerTimeoutMs, `asking process ${this.pid}`);
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Asks for its metrics and keeps them; false when it did not answer in time. */
  async count(): Promise<boolean> {
    // It has counted nothing yet.
    if (this.#state === "starting") return true;
    try {
      const metrics = metricsSchema.parse(await this.ask("metrics"));
      // Nothing is newer than a farewell.
      if (!this.#saidFarewell) this.metrics = metrics;
      return true;
    } catch (error) {
      if (!(error instanceof DeadlineError || error instanceof z.ZodError)) throw error;
      return false;
    }
  }

  /** Its /readyz says from now on that the host is about to stop. */
  drain(): void {
    this.#say({ kind: "drain" });
  }

  /** Lets it finish what it has and waits for its end; true when it had to be killed. */
  async stop(manner: Manner): Promise<boolean> {
    if (this.#state === "ended") return false;
    this.#state = "leaving";
    this.#say({ kind: "stop", manner });
    const gone = new AbortController();
    void this.ended.then(() => gone.abort());
    const overdue = await interval(this.#options.stopTimeoutMs, gone.signal);
    if (overdue) this.kill();
    await this.ended;
    return overdue;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #say(message: SupervisorMessage): void {
    try {
      this.#child.send(message);
    } catch {
      // The channel is closed: it is ending, and `ended` says so.
    }
  }

  #hear(message: unknown): void {
    const parsed = processMessage.safeParse(message);
    if (!parsed.success) return this.#options.onStrangeMessage(parsed.error);
    const said = parsed.data;
    switch (said.kind) {
      case "migrating":
        return clearTimeout(this.#patience);
      case "migrated":
        return this.#expectStart();
      case "ready":
        clearTimeout(this.#patience);
        if (this.#state === "starting") this.#state = "ready";
        return this.#becameReady.resolve(said);
      case "answer":
        return this.#waiting.get(said.id)?.(said.body);
      case "farewell":
        this.#saidFarewell = true;
        this.metrics = metricsSchema.safeParse(said.metrics).data ?? this.metrics;
    }
  }

  #expectStart(): void {
    clearTimeout(this.#patience);
    const { startTimeoutMs } = this.#options;
    this.#patience = setTimeout(() => {
      this.kill();
      this.#becameReady.reject(new DeadlineError(`starting a process took longer than ${startTimeoutMs} ms`));
    }, startTimeoutMs);
  }

  async #end(): Promise<Ending> {
    await this.#child.exited;
    clearTimeout(this.#patience);
    // Its last words may still be on their way.
    await Promise.race([this.#disconnected.promise, Bun.sleep(LAST_WORDS_MS)]);
    this.#state = "ended";
    const ending = { code: this.#child.exitCode, signal: this.#child.signalCode };
    this.#becameReady.reject(new EndedError(ending));
    return ending;
  }
}

/** A process ended before it served. */
export class EndedError extends Error {
  override readonly name = "EndedError";
  readonly ending: Ending;

  constructor(ending: Ending) {
    super(`the process ended before it was ready (${describeEnding(ending)})`);
    this.ending = ending;
  }
}

export function describeEnding({ code, signal }: Ending): string {
  return signal === null ? `exit code ${code}` : String(signal);
}
