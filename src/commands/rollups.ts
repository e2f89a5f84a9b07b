// hop rebuild-rollups and hop rejudge-bots: statistics computed again from the raw clicks.
import type { Command } from "commander";
import { AGENT_RULES, judgeAgent } from "../clicks/visitor.ts";
import type { Database } from "../storage/postgres/database.ts";
import { rebuildableDays, rebuildDay, rejudgeAgents } from "../storage/postgres/rebuild.ts";
import { withSchema } from "./config.ts";

export function addRollups(program: Command): void {
  program
    .command("rebuild-rollups")
    .description(
      "compute totals, dimensions and visitors again from the raw clicks; exit code 0 they were right, 1 some were wrong and are mended",
    )
    .action(async () => {
      const wrong = await withSchema(rebuild);
      process.exitCode = wrong > 0 ? 1 : 0;
    });
  program
    .command("rejudge-bots")
    .description(
      "judge the user agents of stored clicks by the rules of this version, and bring the statistics up to date",
    )
    .action(async () => {
      await withSchema(async (sql) => {
        const { judged, changed } = await rejudgeAgents(sql, AGENT_RULES, judgeAgent);
        console.log(
          `Judged ${judged} user agents by the rules "${AGENT_RULES}"; ${changed} verdicts changed.`,
        );
        await rebuild(sql);
      });
    });
}

/** Prints a line a day; answers how many rows were wrong. */
async function rebuild(sql: Database): Promise<number> {
  let wrong = 0;
  const days = await rebuildableDays(sql);
  for (const day of days) {
    const { clicks, differences } = await rebuildDay(sql, day);
    const { totals, dimensions, visitors } = differences;
    wrong += totals + dimensions + visitors;
    const verdict =
      totals + dimensions + visitors === 0
        ? "equal"
        : `mended: ${totals} rows of totals, ${dimensions} of dimensions, ${visitors} of visitors differed`;
    console.log(`${day}  ${clicks.toLocaleString("en").padStart(14)} clicks  ${verdict}`);
  }
  console.log(
    `Days computed again: ${days.length}; ${wrong === 0 ? "every rollup was right" : `${wrong} rows differed`}.`,
  );
  return wrong;
}
