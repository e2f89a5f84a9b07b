// Several processes on one port: starts them, brings back what crashes, replaces them one after another, stops them all.
import { errorMessage } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { interval } from "../lib/loop.ts";
import type { Crashes } from "./crashes.ts";
import type { Ready } from "./messages.ts";
import { describeEnding, type ServingProcess } from "./process.ts";

export interface SupervisorOptions {
  readonly size: number;
  /** The first process claims the port, the others join it there. */
  readonly spawn: (slot: number, port: "claim" | number) => ServingProcess;
  readonly crashes: Crashes;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly onRestart: (why: "crash" | "reload") => void;
  /** Filled and emptied here: all that have not ended, those that are being replaced too. */
  readonly living: Set<ServingProcess>;
  /** A process is gone, and has counted this. */
  readonly onGone: (process: ServingProcess) => void;
}

/** One place among the processes, which is taken by one after another. */
interface Slot {
  readonly number: number;
  process: ServingProcess;
  /** What is done to the slot waits for what is being done to it. */
  busy: Promise<void>;
}

export type ReloadOutcome = { readonly replaced: number } | { readonly abandoned: string };

export class Supervisor {
  /** Resolves with the reason when its processes crash again and again. */
  readonly gaveUp: Promise<string>;
  readonly #giveUp: (reason: string) => void;
  readonly #options: SupervisorOptions;
  readonly #stopping = new AbortController();
  readonly #living: Set<ServingProcess>;
  #slots: Slot[] = [];
  #keepers: Promise<void>[] = [];
  #port = 0;

  private constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#living = options.living;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.gaveUp = promise;
    this.#giveUp = resolve;
  }

  /** Resolves when all serve. @throws EndedError or DeadlineError when one does not; then none is left running */
  static async start(options: SupervisorOptions): Promise<{ supervisor: Supervisor; first: Ready }> {
    const supervisor = new Supervisor(options);
    try {
      const first = supervisor.#spawn(1, "claim");
      const ready = await first.ready;
      const others = Array.from({ length: options.size - 1 }, (_, index) =>
        supervisor.#spawn(index + 2, ready.port),
      );
      await Promise.all(others.map((process) => process.ready));
      supervisor.#keep([first, ...others], ready.port);
      return { supervisor, first: ready };
    } catch (error) {
      await supervisor.stop();
      throw error;
    }
  }

  /** Replaces one process after another; a new one serves before the old one leaves. Gives up at the first that fails. */
  async reload(): Promise<ReloadOutcome> {
    let replaced = 0;
    for (const slot of this.#slots) {
      const trouble = await this.#inTurn(slot, () => this.#replace(slot));
      if (trouble !== undefined) return { abandoned: trouble };
      replaced++;
    }
    return { replaced };
  }

  /** /readyz of every process says that the host is about to stop. */
  drain(): void {
    for (const process of this.#living) process.drain();
  }

  /** Ends all of them in order; the number of those that had to be killed. */
  async stop(): Promise<number> {
    this.#stopping.abort();
    const killed = await Promise.all([...this.#living].map((process) => process.stop("now")));
    await Promise.all(this.#keepers);
    return killed.filter(Boolean).length;
  }

  /** Ends all of them at once. */
  kill(): void {
    this.#stopping.abort();
    for (const process of this.#living) process.kill();
  }

  #spawn(slot: number, port: "claim" | number): ServingProcess {
    const process = this.#options.spawn(slot, port);
    this.#living.add(process);
    void this.#forget(process);
    return process;
  }

  async #forget(process: ServingProcess): Promise<void> {
    await process.ended;
    this.#living.delete(process);
    this.#options.onGone(process);
  }

  #keep(processes: readonly ServingProcess[], port: number): void {
    this.#slots = processes.map((process, index) => ({
      number: index + 1,
      process,
      busy: Promise.resolve(),
    }));
    this.#port = port;
    this.#keepers = this.#slots.map((slot) => this.#keepAlive(slot));
  }

  /** Until the end: whenever the slot's process ends and nobody meant it to, another takes its place. */
  async #keepAlive(slot: Slot): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const { process } = slot;
      const ending = await process.ended;
      await slot.busy;
      if (signal.aborted || slot.process !== process) continue;
      const { crashes, nowMs, log } = this.#options;
      const delayMs = crashes.note(slot.number, nowMs());
      const ended = { process: slot.number, pid: process.pid, ending: describeEnding(ending) };
      if (delayMs === "loop") {
        log.error(ended, "processes crash again and again");
        return this.#giveUp(`process ${slot.number} ended again (${describeEnding(ending)})`);
      }
      log.error(
        { ...ended, restartMs: Math.round(delayMs) },
        "a process ended unexpectedly; starting another",
      );
      if (!(await interval(delayMs, signal))) return;
      await this.#inTurn(slot, () => this.#restart(slot));
    }
  }

  async #restart(slot: Slot): Promise<void> {
    if (this.#stopping.signal.aborted || slot.process.state !== "ended") return;
    this.#options.onRestart("crash");
    slot.process = this.#spawn(slot.number, this.#port);
  }

  /** @returns what went wrong; then the old process goes on */
  async #replace(slot: Slot): Promise<string | undefined> {
    if (this.#stopping.signal.aborted) return "hop is stopping";
    const next = this.#spawn(slot.number, this.#port);
    try {
      await next.ready;
    } catch (error) {
      await next.stop("now");
      return `process ${slot.number}: ${errorMessage(error)}`;
    }
    this.#options.onRestart("reload");
    const old = slot.process;
    slot.process = next;
    if (await old.stop("hand over")) {
      this.#options.log.error(
        { process: slot.number, pid: old.pid },
        "a process did not stop in time and was killed",
      );
    }
    return undefined;
  }

  async #inTurn<T>(slot: Slot, work: () => Promise<T>): Promise<T> {
    const done = slot.busy.then(work);
    slot.busy = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }
}
