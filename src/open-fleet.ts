// Config → a supervisor of several processes that share one port, with the metrics and the health of the whole host.
import { mkdir } from "node:fs/promises";
import { startAdmin } from "./compose-admin.ts";
import type { Config } from "./config.ts";
import { Crashes } from "./fleet/crashes.ts";
import { FleetHealth } from "./fleet/health.ts";
import { createFleetInstruments } from "./fleet/instruments.ts";
import type { Ready } from "./fleet/messages.ts";
import { ServingProcess } from "./fleet/process.ts";
import { RecordKeeper } from "./fleet/record.ts";
import { type ReloadOutcome, Supervisor } from "./fleet/supervisor.ts";
import { turnMigrationOn } from "./fleet/tcp-migrate.ts";
import { FleetTotals } from "./fleet/totals.ts";
import type { Log } from "./lib/log.ts";
import { tryFileLock } from "./storage/embedded/file-lock.ts";
import { openEmbeddedPostgres } from "./storage/embedded.ts";

export interface FleetParts {
  readonly config: Config;
  readonly log: Log;
  /** This process, as `hop reload` is to find it. */
  readonly pid: number;
  /** The command that serves in one process: its place, and the port that it claims or joins. */
  readonly command: (slot: number, port: "claim" | number) => readonly string[];
}

/** Several processes that serve. */
export interface Fleet {
  /** What the first process said. */
  readonly first: Ready;
  readonly adminUrl: string | undefined;
  /** Resolves with the reason when the processes crash again and again. */
  readonly gaveUp: Promise<string>;
  reload(): Promise<ReloadOutcome>;
  /** Drains the host and stops everything in order; the number of processes that had to be killed. */
  close(): Promise<number>;
  /** Ends the processes at once. */
  kill(): void;
}

/** The embedded Postgres is this process's: it stays while processes come and go. @throws when a process does not start */
export async function startFleet(parts: FleetParts): Promise<Fleet> {
  const { config, log } = parts;
  await using started = new AsyncDisposableStack();
  const migration = await turnMigrationOn();
  log.info({ tcpMigrateReq: migration }, "connections that wait while a process is replaced");
  await openDatabase(config, log, started);
  const living = new Set<ServingProcess>();
  const instruments = createFleetInstruments(() => [...living].map(({ state }) => state));
  const totals = new FleetTotals(instruments.registry, () => instruments.missing.inc());
  const health = new FleetHealth(living, config.workers);
  const registry = { metrics: () => totals.read(living), contentType: totals.contentType };
  const adminUrl = startAdmin(
    { host: config.adminHost, port: config.adminPort },
    health,
    { registry },
    started,
  );
  const { supervisor, first } = await Supervisor.start({
    size: config.workers,
    spawn: (slot, port) => spawn(parts, slot, port),
    crashes: new Crashes(
      {
        max: config.crashesMax,
        windowMs: config.crashWindowMs,
        restartMs: config.restartMs,
        restartMaxMs: config.restartMaxMs,
      },
      config.workers,
      Math.random,
    ),
    nowMs: () => performance.now(),
    log,
    onRestart: (why) => instruments.restarts.inc({ why }),
    living,
    onGone: ({ metrics }) => totals.keep(metrics),
  });
  const record = await openRecord(parts, first.port, started);
  const running = started.move();
  return {
    first,
    adminUrl,
    gaveUp: supervisor.gaveUp,
    reload: async () => {
      const outcome = await supervisor.reload();
      await record?.noteReload(outcome).catch((error: unknown) => {
        log.warn({ err: error }, "`hop reload` cannot be told how its reload ended");
      });
      return outcome;
    },
    close: async () => {
      health.drain();
      supervisor.drain();
      await Bun.sleep(config.drainMs);
      const killed = await supervisor.stop();
      await running.disposeAsync();
      return killed;
    },
    kill: () => supervisor.kill(),
  };
}

function spawn({ config, log, command }: FleetParts, slot: number, port: "claim" | number): ServingProcess {
  return new ServingProcess({
    slot,
    command: command(slot, port),
    startTimeoutMs: config.processStartTimeoutMs,
    answerTimeoutMs: config.processAnswerTimeoutMs,
    stopTimeoutMs: config.handoverMs + config.stopTimeoutMs,
    onStrangeMessage: (error) => log.warn({ err: error, process: slot }, "a process said something unknown"),
  });
}

async function openDatabase(config: Config, log: Log, started: AsyncDisposableStack): Promise<void> {
  if (config.databaseUrl !== undefined) return;
  const { dataDir } = config;
  const embedded = await openEmbeddedPostgres({ dataDir, log: (message) => log.info({}, message) });
  started.defer(() => embedded.close());
}

/** Serving matters more than being found. */
async function openRecord(
  { config, log, pid }: FleetParts,
  port: number,
  started: AsyncDisposableStack,
): Promise<RecordKeeper | undefined> {
  try {
    await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
    const record = await RecordKeeper.open(config.dataDir, pid, port, tryFileLock);
    started.defer(() => record.close());
    return record;
  } catch (error) {
    log.warn({ err: error }, "`hop reload` will not find this process; SIGHUP works");
    return undefined;
  }
}
