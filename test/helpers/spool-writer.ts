// A process that appends numbered records to the spool in argv, says which are durable, and lives until it is killed.
import { FileSpool } from "../../src/storage/spool.ts";
import { recordOf } from "./spool-records.ts";

const [directory = "", maxBytes = ""] = process.argv.slice(2);
const spool = new FileSpool({
  directory,
  maxBytes: Number(maxBytes),
  onDamage: (damage) => console.error(damage),
  onError: (error) => console.error(error),
});
let number = 0;
const lane = async (): Promise<void> => {
  for (;;) {
    const mine = ++number;
    if ((await spool.append(recordOf(mine))) !== "spooled") break;
    process.stdout.write(`${mine}\n`);
  }
};
await Promise.all(Array.from({ length: 8 }, lane));
process.stdout.write("full\n");
for await (const _ of process.stdin) {
  // Only its end matters.
}
