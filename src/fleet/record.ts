// The file that lets `hop reload` find the supervisor of a port: a lock says whether it lives, the text what it did last.
import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const recordSchema = z.object({
  pid: z.number(),
  port: z.number(),
  /** Reloads that have ended, well or not. */
  reloads: z.number(),
  lastReload: z.union([z.object({ replaced: z.number() }), z.object({ abandoned: z.string() })]).optional(),
});
export type FleetRecord = z.infer<typeof recordSchema>;

/** Takes a lock that ends with its process; undefined when another has it. */
export type TryLock = (path: string) => (() => void) | undefined;

const nameOf = (port: number) => `fleet-${port}`;

const MAX_ATTEMPTS = 10;
const RETRY_MS = 20;

/** Keeps the record of the running supervisor. */
export class RecordKeeper {
  readonly #directory: string;
  readonly #release: () => void;
  #record: FleetRecord;

  private constructor(directory: string, record: FleetRecord, release: () => void) {
    this.#directory = directory;
    this.#record = record;
    this.#release = release;
  }

  /** @throws what the disk says; Error when another supervisor of this port lives */
  static async open(directory: string, pid: number, port: number, tryLock: TryLock): Promise<RecordKeeper> {
    let release = tryLock(join(directory, `${nameOf(port)}.lock`));
    // `hop reload` holds it for a moment when it looks who lives.
    for (let attempt = 1; release === undefined && attempt < MAX_ATTEMPTS; attempt++) {
      await Bun.sleep(RETRY_MS);
      release = tryLock(join(directory, `${nameOf(port)}.lock`));
    }
    if (release === undefined) throw new Error(`another hop holds ${nameOf(port)}.lock in ${directory}`);
    const keeper = new RecordKeeper(directory, { pid, port, reloads: 0 }, release);
    await keeper.#write();
    return keeper;
  }

  async noteReload(lastReload: NonNullable<FleetRecord["lastReload"]>): Promise<void> {
    this.#record = { ...this.#record, reloads: this.#record.reloads + 1, lastReload };
    await this.#write();
  }

  close(): void {
    this.#release();
  }

  /** Whole or not at all. */
  async #write(): Promise<void> {
    const path = join(this.#directory, `${nameOf(this.#record.port)}.json`);
    await writeFile(`${path}.new`, `${JSON.stringify(this.#record)}\n`, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

/** The supervisors that live and keep their records in this directory. */
export async function findRecords(directory: string, tryLock: TryLock): Promise<FleetRecord[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  });
  const living = names.filter((name) => {
    if (!/^fleet-\d+\.json$/.test(name)) return false;
    const release = tryLock(join(directory, name.replace(/json$/, "lock")));
    release?.();
    return release === undefined;
  });
  return Promise.all(living.map(async (name) => readRecord(join(directory, name))));
}

export async function readRecord(path: string): Promise<FleetRecord> {
  return recordSchema.parse(JSON.parse(await readFile(path, "utf8")));
}
