// Is this host alive, and may it be given traffic? Its processes say.
import { z } from "zod";
import { DeadlineError } from "../lib/deadline.ts";
import { healthSchema } from "./messages.ts";

/** A process that can be asked how it is. */
export interface Patient {
  readonly slot: number;
  readonly pid: number;
  readonly state: string;
  readonly startedAt: Date;
  ask(what: "health"): Promise<unknown>;
}

export class FleetHealth {
  readonly #processes: ReadonlySet<Patient>;
  readonly #size: number;
  #draining = false;

  /** @param size processes that there should be */
  constructor(processes: ReadonlySet<Patient>, size: number) {
    this.#processes = processes;
    this.#size = size;
  }

  /** From now on this host wants no new traffic. */
  drain(): void {
    this.#draining = true;
  }

  /** 200 while the supervisor turns: it brings its processes back itself. */
  live(): Response {
    return answer(200, { status: "alive", processes: this.#processes.size });
  }

  /** 200 while at least one process is ready, as that one serves all; says what each has to say. */
  async ready(): Promise<Response> {
    const processes = await Promise.all([...this.#processes].map((process) => examine(process)));
    const serving = processes.filter(({ status }) => status === 200);
    const ready = serving.length > 0 && !this.#draining;
    const degraded = serving.some(({ said }) => said["status"] === "degraded");
    const { dependencies = {} } = (serving[0] ?? processes[0])?.said ?? {};
    return answer(ready ? 200 : 503, {
      status: ready ? (degraded ? "degraded" : "ready") : "not ready",
      draining: this.#draining,
      dependencies,
      ready: serving.length,
      wanted: this.#size,
      processes: processes.map(({ facts, said }) => ({ ...facts, ...said })),
    });
  }
}

/** A process that does not answer in time is not ready. */
async function examine(process: Patient) {
  const { slot, pid, state, startedAt } = process;
  const facts = { process: slot, pid, state, startedAt };
  if (state !== "ready") return { facts, status: 503, said: {} };
  try {
    const { status, body } = healthSchema.parse(await process.ask("health"));
    return { facts, status, said: body };
  } catch (error) {
    if (!(error instanceof DeadlineError || error instanceof z.ZodError)) throw error;
    return { facts, status: 503, said: { status: "silent" } };
  }
}

function answer(status: number, body: object): Response {
  return Response.json(body, { status, headers: { "Cache-Control": "no-store" } });
}
