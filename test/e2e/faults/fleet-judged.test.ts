// The judge of the fleet can fail: a worker that confirms too early and a recorder that renumbers what it repeats are found out.
import { expect } from "bun:test";
import { faultTest } from "../../helpers/fault-test.ts";
import { Fleet } from "../../helpers/fleet.ts";

const CODES = ["alpha", "beta"];
const FREEZE_MS = 1_000;
const LOST = /^(alpha|beta): rows \d+, but \d+ redirects were received/;

faultTest(
  "a worker that confirms clicks before they are stored is found to lose some when it is killed",
  { few: 10, full: 10 },
  async ({ rounds, random, begin }) => {
    const workerEntry = "test/helpers/broken-worker.ts";
    const fleet = await Fleet.start({ codes: CODES, random, connections: 4, workerEntry });
    try {
      const workers = fleet.members.filter(({ role }) => role === "worker");
      for (let round = 1; round <= rounds; round++) {
        begin(round, "kill worker");
        fleet.startLoad();
        await fleet.untilReceived(random.integer(300, 1_000));
        await Promise.all(workers.map((worker) => worker.kill()));
        await fleet.stopLoad();
        await Promise.all(workers.map((worker) => worker.restart()));
        const problems = (await fleet.findMiscounts()).filter((problem) => LOST.test(problem));
        const ledger = await fleet.ledger();
        // What such a worker has confirmed may still be on its way: only what stays away is lost.
        if (problems.length === 0 || ledger.verdict !== "unbalanced") continue;
        expect(ledger.exitCode).toBe(1);
        expect(ledger.reasons.join("\n")).toMatch(/producer \S+ lacks \d+ of \d+ batches \(numbers/);
        return `seen in round ${round}: ${problems[0]}; ${ledger.reasons[0]}`;
      }
      throw new Error("nothing was found");
    } finally {
      await fleet.close();
    }
  },
);

faultTest(
  "a recorder that numbers a batch anew when it sends it again is found to store clicks twice",
  { few: 10, full: 10 },
  async ({ rounds, random, begin }) => {
    const serverEntry = "test/helpers/broken-recorder.ts";
    const fleet = await Fleet.start({ codes: CODES, random, connections: 4, serverEntry });
    try {
      const redis = fleet.members.find(({ role }) => role === "Redis");
      for (let round = 1; round <= rounds; round++) {
        begin(round, "freeze Redis");
        fleet.startLoad();
        await fleet.untilReceived(random.integer(300, 1_000));
        await redis?.freeze();
        await Bun.sleep(FREEZE_MS);
        await redis?.thaw();
        await fleet.untilReceived(300);
        await fleet.stopLoad();
        const problems = await fleet.findMiscounts();
        if (problems.length === 0) continue;
        expect(problems.join("\n")).toMatch(/(alpha|beta): rows \d+, but only \d+ requests were sent/);
        return `seen in round ${round}: ${problems[0]}`;
      }
      throw new Error("nothing was found");
    } finally {
      await fleet.close();
    }
  },
);
