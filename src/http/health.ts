// Is this process alive, and may it be given traffic?

/** Asks one dependency; rejects or resolves within its own deadline. */
export interface Dependency {
  readonly name: string;
  check(): Promise<void>;
}

export class Health {
  readonly #dependencies: readonly Dependency[];
  #draining = false;

  constructor(dependencies: readonly Dependency[]) {
    this.#dependencies = dependencies;
  }

  /** From now on this process wants no new traffic. */
  drain(): void {
    this.#draining = true;
  }

  /** 200 while the process turns. */
  live(): Response {
    return answer(200, { status: "alive" });
  }

  /** 503 while draining or while a dependency does not answer; says which. */
  async ready(): Promise<Response> {
    const checks = await Promise.all(
      this.#dependencies.map(async (dependency): Promise<[string, "up" | "down"]> => {
        try {
          await dependency.check();
          return [dependency.name, "up"];
        } catch {
          // Why is in the log of whoever uses the dependency; a prober only needs to know that it is down.
          return [dependency.name, "down"];
        }
      }),
    );
    const ready = !this.#draining && checks.every(([, state]) => state === "up");
    return answer(ready ? 200 : 503, {
      status: ready ? "ready" : "not ready",
      draining: this.#draining,
      dependencies: Object.fromEntries(checks),
    });
  }
}

function answer(status: number, body: object): Response {
  return Response.json(body, { status, headers: { "Cache-Control": "no-store" } });
}
