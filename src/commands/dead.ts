// hop dead: look at batches of clicks that could not be stored, and send them once more.
import type { Command } from "commander";
import type { RedisClient } from "../storage/redis/client.ts";
import { type DeadLetter, listDeadLetters, requeueDeadLetter } from "../storage/redis/dead-letters.ts";
import { readConfig } from "./config.ts";
import { withStream } from "./stream.ts";

export function addDead(program: Command): void {
  const command = program.command("dead").description("batches of clicks that could not be stored");
  command
    .command("list")
    .description("list them, with the reason")
    .option("--json", "as JSON")
    .action(async (options: { json?: true }) => {
      const letters = await withStream(readConfig(), listDeadLetters);
      if (options.json) console.log(JSON.stringify(letters, undefined, 2));
      else if (letters.length === 0) console.log("no batch was put aside");
      else for (const letter of letters) console.log(describe(letter));
    });
  command
    .command("requeue")
    .description("put them back into the stream: workers try to store them again")
    .argument("[id...]", "as `hop dead list` shows it")
    .option("--all", "every one")
    .action(async (ids: string[], options: { all?: true }, self: Command) => {
      if (options.all === undefined && ids.length === 0) {
        self.error("error: name the batches, as `hop dead list` shows them, or write --all");
      }
      const requeued = await withStream(readConfig(), (client, partitions) =>
        requeue(client, partitions, ids, options.all),
      );
      console.log(`${requeued} ${requeued === 1 ? "batch is" : "batches are"} in the stream again`);
    });
}

async function requeue(
  client: RedisClient,
  partitions: number,
  ids: readonly string[],
  all: true | undefined,
): Promise<number> {
  const chosen = all ? (await listDeadLetters(client, partitions)).map(({ id }) => id) : ids;
  let requeued = 0;
  for (const id of chosen) {
    if (await requeueDeadLetter(client, id)) requeued++;
    // Of all, one that is gone by now was requeued by somebody else.
    else if (!all) throw new Error(`no batch that was put aside has the id ${id}; see \`hop dead list\``);
  }
  return requeued;
}

function describe({ id, atMs, reason, deliveries, producer, seq, clicks }: DeadLetter): string {
  const at = new Date(atMs).toISOString();
  return `${id}  ${at}  ${clicks} clicks (batch ${seq} of ${producer || "nobody"})  read ${deliveries} times: ${reason}`;
}
