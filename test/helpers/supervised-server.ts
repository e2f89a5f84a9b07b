// A server of several processes, of which any one, the supervisor too, is killed or frozen.
import type { Random } from "./fault-test.ts";
import type { HopProcess } from "./hop-process.ts";
import { isAlive, processesOf } from "./supervised-hop.ts";
import { waitFor } from "./wait-for.ts";

/** One that dies while Postgres or Redis is frozen comes back when that answers, at its second or third start. */
const BACK_MS = 60_000;
/** Without a supervisor: HOP_STOP_TIMEOUT_MS (25 s), when what they wait for is frozen, and a busy machine. */
const GONE_MS = 40_000;

export class SupervisedServer {
  readonly #supervisor: () => HopProcess;
  readonly #processes: number;
  readonly #random: Random;
  #frozen: number | undefined;
  /** What is left of a server whose supervisor was killed. */
  #orphans: readonly number[] = [];

  /** @param supervisor the one that runs now */
  constructor(supervisor: () => HopProcess, processes: number, random: Random) {
    this.#supervisor = supervisor;
    this.#processes = processes;
    this.#random = random;
  }

  /** @param restart starts the whole server again */
  faults(restart: () => Promise<void>) {
    return {
      kill: () => this.#kill(),
      restart: () => this.#restart(restart),
      freeze: async () => {
        this.#frozen = this.#random.pick([this.#supervisor().pid, ...(await this.#children())]);
        process.kill(this.#frozen, "SIGSTOP");
        return this.#nameOf(this.#frozen);
      },
      thaw: async () => {
        if (this.#frozen !== undefined) process.kill(this.#frozen, "SIGCONT");
      },
    };
  }

  /** All of it at once. */
  async end(): Promise<void> {
    const children = await this.#children().catch(() => this.#orphans);
    await this.#supervisor().kill("SIGKILL");
    for (const pid of children) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  }

  async #kill(): Promise<string> {
    const children = await this.#children();
    const victim = this.#random.pick([this.#supervisor().pid, ...children]);
    const name = this.#nameOf(victim);
    if (name === "supervisor") {
      this.#orphans = children;
      await this.#supervisor().kill("SIGKILL");
    } else {
      process.kill(victim, "SIGKILL");
      await waitFor("the process to be gone", () => !isAlive(victim));
    }
    return name;
  }

  #nameOf(pid: number): string {
    return pid === this.#supervisor().pid ? "supervisor" : "one of its processes";
  }

  /** A process is brought back by its supervisor; a supervisor by whoever runs hop, on a port that its processes have left. */
  async #restart(restart: () => Promise<void>): Promise<void> {
    if (!isAlive(this.#supervisor().pid)) {
      await waitFor("the processes to go after their supervisor", () => !this.#orphans.some(isAlive), {
        timeoutMs: GONE_MS,
      });
      this.#orphans = [];
      await restart();
    }
    await waitFor("all processes to serve", async () => (await this.#ready()) === this.#processes, {
      timeoutMs: BACK_MS,
    });
  }

  async #ready(): Promise<number> {
    const processes = await processesOf(this.#supervisor());
    return processes.filter(({ state }) => state === "ready").length;
  }

  async #children(): Promise<readonly number[]> {
    return (await processesOf(this.#supervisor())).map(({ pid }) => pid);
  }
}
