// The copies in memory keep the contract, so that tests may use them in place of Redis.
import { manualClock } from "../../src/lib/clock.ts";
import { MemoryRouteCopies } from "./memory-route-copies.ts";
import { describeRouteCopies } from "./route-copies-contract.ts";

describeRouteCopies("memory", async () => {
  const clock = manualClock(1_000_000);
  return { copies: new MemoryRouteCopies(clock), pass: async (ms) => clock.advance(ms) };
});
