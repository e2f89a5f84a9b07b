// P1: rounds of kill -9 of hop, of its embedded Postgres, or of both, while clients write; no answered write may be missing.
import { afterAll, expect } from "bun:test";
import { kill, serverPid, Stage } from "../../helpers/embedded-stage.ts";
import { faultTest } from "../../helpers/fault-test.ts";
import { startHop } from "../../helpers/hop-process.ts";
import { LinkWriters } from "../../helpers/link-writers.ts";
import { waitFor } from "../../helpers/wait-for.ts";

const WRITERS = 12;
const VICTIMS = ["hop", "postgres", "hop, then postgres", "postgres, then hop"] as const;

const stage = new Stage();
afterAll(() => stage.clear());

faultTest(
  "every create, edit and delete that was answered is there after kill -9 of hop, of Postgres and of both",
  { few: 3, full: 50 },
  async ({ rounds, random, begin }) => {
    const dataDir = await stage.dataDir();
    const env = { HOP_DATA_DIR: dataDir };
    const writers = new LinkWriters(WRITERS, random);
    const kills: Record<string, number> = {};
    let hop = await startHop(env);

    for (let round = 1; round <= rounds; round++) {
      const victim = random.pick(VICTIMS);
      begin(round, victim);
      kills[victim] = (kills[victim] ?? 0) + 1;
      writers.start(hop);
      await untilAnswered(writers, random.integer(20, 600));
      for (const name of victim.split(", then ")) {
        if (name === "hop") await hop.kill("SIGKILL");
        else await killPostgres(dataDir);
      }
      if (victim === "postgres") {
        // hop lives on: it has to bring its Postgres back and take writes again by itself.
        await untilAnswered(writers, 50);
        await writers.stop();
      } else {
        await writers.stop();
        hop = await startHop(env);
      }
      expect(writers.surprises).toEqual([]);
      expect(await writers.findMissing(hop)).toEqual([]);
    }

    expect(await hop.kill("SIGTERM")).toBe(0);
    expect(await serverPid(dataDir)).toBeUndefined();
    const { creates, edits, deletes, unanswered } = writers.counts;
    return (
      `${creates + edits + deletes} answered writes verified after every round ` +
      `(${creates} creates, ${edits} edits, ${deletes} deletes; ${unanswered} more had no 2xx), kills ${JSON.stringify(kills)}`
    );
  },
);

async function killPostgres(dataDir: string): Promise<void> {
  const pid = await serverPid(dataDir);
  if (pid === undefined) throw new Error("there is no Postgres to kill");
  await kill(pid, "SIGKILL");
}

async function untilAnswered(writers: LinkWriters, more: number): Promise<void> {
  const enough = writers.answered + more;
  await waitFor(`${more} answered writes`, () => writers.answered >= enough, {
    everyMs: 1,
    timeoutMs: 30_000,
  });
}
