// Laws that every honest run obeys. A run that breaks one has measured something else.
import type { Ledger } from "./hop.ts";
import type { WrkReport } from "./wrk.ts";

export interface Law {
  readonly name: "errors" | "Little" | "quiet" | "ledger" | "counts" | "statistics";
  readonly holds: boolean;
  /** A short clause: what was seen. */
  readonly seen: string;
}

/** A client that used more of its core than this had answers waiting in itself, which no latency of its shows. */
const CLIENT_SATURATED = 0.75;
/** Clocks and the end of a run. */
const MEAN_TOLERANCE = 1.02;
const LEAST_IN_FLIGHT = 0.8;
/** Of all cores, for everything that does not take part. */
const MOST_FOR_OTHERS = 0.1;

export function clientShare(report: WrkReport): number {
  return report.cpuSeconds / report.seconds;
}

/** X·R: requests that were in flight on average (Little, 1961). */
export function inFlight(report: WrkReport): number {
  return (report.requests / report.seconds) * (report.latencyMs.mean / 1_000);
}

export function noErrors({ errors }: WrkReport): Law {
  const seen = Object.entries(errors).filter(([, count]) => count > 0);
  return {
    name: "errors",
    holds: seen.length === 0,
    seen: seen.length === 0 ? "0" : seen.map(([kind, count]) => `${count} ${kind}`).join(", "),
  };
}

/**
 * Little's law for a closed loop: N = X·(R + Z), where Z is the time a connection waits in the client. X·R above N is
 * impossible; X·R far below N means requests that never ended, unless the client was the one that was busy.
 */
export function littlesLaw(report: WrkReport): Law {
  const requests = inFlight(report);
  const enough = requests >= LEAST_IN_FLIGHT * report.connections || clientShare(report) >= CLIENT_SATURATED;
  return {
    name: "Little",
    holds: enough && requests <= MEAN_TOLERANCE * report.connections,
    seen: `${requests.toFixed(1)} of ${report.connections}`,
  };
}

/** Nothing else used the machine. Where the system does not tell, nothing is claimed and nothing is broken. */
export function quiet(othersShare: number | undefined): Law {
  return {
    name: "quiet",
    holds: othersShare === undefined || othersShare <= MOST_FOR_OTHERS,
    seen: othersShare === undefined ? "unknown" : `${(othersShare * 100).toFixed(0)} % for others`,
  };
}

/** What hop counted is what wrk got, and the requests that were on their way when wrk hung up, at most one a connection. */
export function countsAgree(counted: number, reports: readonly WrkReport[]): Law {
  const received = reports.reduce((sum, { requests }) => sum + requests, 0);
  const extra = counted - received;
  const mostExtra = reports.reduce((sum, { connections }) => sum + connections, 0);
  return {
    name: "counts",
    holds: extra >= 0 && extra <= mostExtra,
    seen: `${counted.toLocaleString("en")} = ${received.toLocaleString("en")} + ${extra}`,
  };
}

/** Served = stored + dropped for a reason, and the ledger itself balances. */
export function ledgerBalances(before: Ledger, after: Ledger, served: number): Law {
  const stored = after.storedClicks - before.storedClicks;
  const dropped = droppedClicks(after) - droppedClicks(before);
  const sum =
    dropped === 0 ? `${count(stored)} stored` : `${count(stored)} stored + ${count(dropped)} dropped`;
  return {
    name: "ledger",
    holds: after.verdict === "balanced" && stored + dropped === served,
    seen: `${after.verdict}: ${count(served)} served = ${sum}${after.reasons.map((reason) => `; ${reason}`).join("")}`,
  };
}

/** What the API answers from rollups is what the rows say: clicks, their sum over a dimension, visitors of days. */
export function statisticsAgree(
  answered: { readonly clicks: number; readonly ofDevices: number; readonly visitors: number },
  rows: { readonly clicks: number; readonly visitors: number },
): Law {
  const { clicks, ofDevices, visitors } = answered;
  return {
    name: "statistics",
    holds: clicks === rows.clicks && ofDevices === rows.clicks && visitors === rows.visitors,
    seen: `${count(clicks)} clicks, ${count(ofDevices)} by device, ${count(visitors)} visitors of ${count(rows.clicks)} and ${count(rows.visitors)}`,
  };
}

export function droppedClicks(ledger: Ledger): number {
  return Object.values(ledger.dropped).reduce((sum, clicks) => sum + clicks, 0);
}

function count(value: number): string {
  return value.toLocaleString("en");
}
