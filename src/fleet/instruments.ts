// What a supervisor counts itself.
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

const STATES = ["starting", "ready", "leaving"] as const;

/** @param states of the processes that have not ended */
export function createFleetInstruments(states: () => readonly string[]) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "hop_processes",
    help: "Processes of this host by state; leaving = replaced, finishes its requests",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const now = states();
      for (const state of STATES) this.set({ state }, now.filter((one) => one === state).length);
    },
  });
  const restarts = new Counter({
    name: "hop_process_restarts_total",
    help: "Processes that took the place of another, because it crashed or for a reload",
    labelNames: ["why"],
    registers: [registry],
  });
  for (const why of ["crash", "reload"]) restarts.inc({ why }, 0);
  return {
    registry,
    restarts,
    missing: new Counter({
      name: "hop_process_answers_missing_total",
      help: "Times that a process did not tell its metrics in time, and the sums have its earlier ones",
      registers: [registry],
    }),
  };
}
