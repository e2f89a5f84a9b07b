// hop keys: make, list and revoke API keys.
import { type Command, InvalidArgumentError } from "commander";
import { describeKey, generateKey, parseScopes, type Scope, SCOPES } from "../keys/key.ts";
import { AppError } from "../lib/errors.ts";
import { PostgresKeyStore } from "../storage/postgres/keys.ts";
import { withSchema } from "./config.ts";

export function addKeys(program: Command): void {
  const command = program.command("keys").description("API keys");
  command
    .command("create")
    .description("make a key and print it, this once")
    .requiredOption("--name <text>", "what the key is for")
    .requiredOption("--scopes <list>", `comma-separated: ${SCOPES.join(", ")}`, readScopes)
    .action(async ({ name, scopes }: { name: string; scopes: Scope[] }) => {
      const key = generateKey();
      const stored = await withKeys((keys) => keys.insert({ name, ...describeKey(key), scopes }));
      console.log(
        `${key}\nKey ${stored.id} "${stored.name}" may: ${stored.scopes.join(", ")}. It is not shown again.`,
      );
    });
  command
    .command("list")
    .description("list keys, also revoked ones; never the keys themselves")
    .option("--json", "as JSON")
    .action(async (options: { json?: true }) => {
      const keys = (await withKeys((store) => store.list())).map(({ hash: _hash, ...key }) => key);
      if (options.json) console.log(JSON.stringify(keys, undefined, 2));
      else for (const key of keys) console.log(describe(key));
    });
  command
    .command("revoke")
    .description("end a key at once, in every process")
    .argument("<id>", "the number that `hop keys list` shows", parseId)
    .action(async (id: number) => {
      if (!(await withKeys((keys) => keys.revoke(id)))) {
        throw new Error(`no valid key has the number ${id}; see \`hop keys list\``);
      }
      console.log(`key ${id} is revoked`);
    });
}

function withKeys<T>(work: (keys: PostgresKeyStore) => Promise<T>): Promise<T> {
  return withSchema((sql) => work(new PostgresKeyStore(sql)));
}

type ListedKey = Omit<Awaited<ReturnType<PostgresKeyStore["list"]>>[number], "hash">;

function describe(key: ListedKey): string {
  const state = key.revokedAt === null ? "valid" : `revoked ${key.revokedAt.toISOString()}`;
  const used = key.lastUsedAt === null ? "never used" : `last used ${key.lastUsedAt.toISOString()}`;
  return `${key.id}  ${key.prefix}…  ${key.name}  [${key.scopes.join(", ")}]  ${state}, ${used}`;
}

function readScopes(list: string): Scope[] {
  try {
    return parseScopes(list.split(","));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new InvalidArgumentError(error.message);
  }
}

function parseId(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new InvalidArgumentError("It is a number, as `hop keys list` shows it.");
  return Number(text);
}
