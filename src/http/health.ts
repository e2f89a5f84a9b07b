// Is this process alive, and may it be given traffic?

/** Something this process uses, which may be away. */
export interface Dependency {
  readonly name: string;
  /** This process goes on serving while it is down: then that is said, and traffic goes on coming. */
  readonly survivable: boolean;
  /** Asks it; rejects or resolves within its own deadline. */
  check(): Promise<void>;
}

export type DependencyState = "up" | "down";

export class Health {
  readonly #dependencies: readonly Dependency[];
  /** Probers may be many and a dependency slow: each is asked once at a time, and all hear the same answer. */
  readonly #checks = new Map<Dependency, Promise<DependencyState>>();
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

  /**
   * 503 while draining, or while a dependency is down that this process cannot do without. One that it survives makes it
   * `degraded`, with 200: every process has the same Postgres, and if all of them said 503, a load balancer would turn an
   * outage that redirects survive into one that nobody survives.
   */
  async ready(): Promise<Response> {
    const states = await Promise.all(
      this.#dependencies.map(async (dependency) => ({ dependency, state: await this.#ask(dependency) })),
    );
    const down = states.filter(({ state }) => state === "down");
    const ready = !this.#draining && down.every(({ dependency }) => dependency.survivable);
    return answer(ready ? 200 : 503, {
      status: ready ? (down.length > 0 ? "degraded" : "ready") : "not ready",
      draining: this.#draining,
      dependencies: Object.fromEntries(states.map(({ dependency, state }) => [dependency.name, state])),
    });
  }

  #ask(dependency: Dependency): Promise<DependencyState> {
    const asked = this.#checks.get(dependency);
    if (asked !== undefined) return asked;
    const check = dependency
      .check()
      .then((): DependencyState => "up")
      // Why is in the log of whoever uses the dependency; a prober only needs to know that it is down.
      .catch((): DependencyState => "down")
      .finally(() => this.#checks.delete(dependency));
    this.#checks.set(dependency, check);
    return check;
  }
}

function answer(status: number, body: object): Response {
  return Response.json(body, { status, headers: { "Cache-Control": "no-store" } });
}
