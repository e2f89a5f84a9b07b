// Waits until a supervisor has done what SIGHUP asked it for.
import { findRecords, type FleetRecord, type TryLock } from "./record.ts";

type Outcome = NonNullable<FleetRecord["lastReload"]>;

const LOOK_MS = 50;

/**
 * As long as the supervisor lives: its own bounds (HOP_PROCESS_START_TIMEOUT_MS, HOP_STOP_TIMEOUT_MS) end every reload,
 * but for a migration, which takes its time.
 * @throws Error when it ended meanwhile
 */
export async function waitForReload(
  directory: string,
  before: FleetRecord,
  tryLock: TryLock,
): Promise<Outcome> {
  for (;;) {
    const records = await findRecords(directory, tryLock);
    const now = records.find(({ pid }) => pid === before.pid);
    if (now === undefined) throw new Error("hop ended during the reload; its log says why");
    if (now.reloads > before.reloads && now.lastReload !== undefined) return now.lastReload;
    await Bun.sleep(LOOK_MS);
  }
}
