// What is measured while wrk asks: its report, and everybody's CPU time meanwhile.
import { availableParallelism } from "node:os";
import type { Child } from "./child.ts";
import { cpuSeconds, machineCpuSeconds, postgresCpuSeconds, processesOf } from "./processes.ts";
import type { WrkReport } from "./wrk.ts";

/** Who takes part beside wrk. */
export interface Parties {
  readonly server: Child;
  /** Of a Postgres that takes part. */
  readonly dataDir?: string | undefined;
  readonly worker?: Child | undefined;
  readonly redis?: Child | undefined;
}

export const ROLES = ["server", "Postgres", "worker", "Redis"] as const;
export type Role = (typeof ROLES)[number];

export interface Window {
  readonly report: WrkReport;
  readonly perSecond: number;
  /** CPU time per request, in µs, of each that took part; nothing where the system does not tell. */
  readonly cpuUs: Partial<Record<Role, number>>;
  /** The part of all cores that went to anything else, from 0 to 1. */
  readonly othersShare: number | undefined;
}

type CpuTimes = Readonly<Record<Role | "machine", number | undefined>>;

export async function measureWindow(parties: Parties, run: () => Promise<WrkReport>): Promise<Window> {
  const startedAtMs = performance.now();
  const before = await readCpu(parties);
  const report = await run();
  const after = await readCpu(parties);
  const capacity = ((performance.now() - startedAtMs) / 1_000) * availableParallelism();
  const spent = (whose: keyof CpuTimes) => minus(after[whose], before[whose]);
  const known = ROLES.flatMap((role) => {
    const seconds = spent(role);
    return seconds === undefined ? [] : [{ role, seconds }];
  });
  const machine = spent("machine");
  const ours = known.reduce((sum, { seconds }) => sum + seconds, report.allCpuSeconds);
  return {
    report,
    perSecond: report.requests / report.seconds,
    cpuUs: Object.fromEntries(known.map(({ role, seconds }) => [role, (seconds * 1e6) / report.requests])),
    othersShare: machine && (machine - ours) / capacity,
  };
}

async function readCpu({ server, dataDir, worker, redis }: Parties): Promise<CpuTimes> {
  const of = async (child: Child | undefined) => child && cpuSeconds(await processesOf(child.pid, dataDir));
  return {
    server: await of(server),
    Postgres: dataDir === undefined ? undefined : await postgresCpuSeconds(dataDir),
    worker: await of(worker),
    Redis: await of(redis),
    machine: await machineCpuSeconds(),
  };
}

function minus(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before;
}
