// A process that opens the embedded database of argv, says so, and closes when its stdin ends; tests start and kill it.
import { openEmbeddedPostgres } from "../../src/storage/embedded.ts";

const [dataDir = "", systemDir = ""] = process.argv.slice(2);
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

const database = await openEmbeddedPostgres({
  dataDir,
  systemDir,
  checkIntervalMs: 100,
  log: (text) => say({ log: text }),
});
say({ connection: database.connection });
for await (const _ of process.stdin) {
  // Only its end matters.
}
await database.close();
say({ closed: true });
