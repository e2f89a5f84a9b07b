// Environment, flags and preset become one frozen Config, or one error that lists every problem.

import { nearest } from "./config/nearest.ts";
import type { Surroundings } from "./config/kinds.ts";
import { PRESETS } from "./config/presets.ts";
import { FIELDS, VARIABLES, type Config, type Field, type Variable } from "./config/variables.ts";

export { PRESETS } from "./config/presets.ts";
export type { Config } from "./config/variables.ts";

/** Everything a configuration depends on; nothing else is read. */
export interface ConfigInput extends Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags?: {
    readonly port?: string | undefined;
    readonly workers?: string | undefined;
    readonly preset?: string | undefined;
  };
  /** The text of a file; throws an Error when it can't be read. */
  readonly readFile: (path: string) => string;
}

/** The configuration is refused. The message is `problems`, one a line; none contains a secret. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** Each names a variable or flag, says what is wrong with it and how to mend that. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** What an operator set, with the words that problems use for it. */
interface Setting {
  /** `HOP_PORT`, `HOP_PORT_FILE` or `--port`. */
  readonly label: string;
  readonly text: string;
  /** The value, or where it is if it must not be shown. */
  readonly shown: string;
}

/** A Config in the making. */
type Draft = { [Name in Field]?: Config[Name] | undefined };
type Labels = Partial<Record<Field, string>>;

/**
 * A flag wins over the environment, that over the preset, that over the default; an empty variable is unset.
 * @throws ConfigError with all problems at once.
 */
export function loadConfig(input: ConfigInput): Config {
  const problems = findUnknownVariables(input.env);
  const preset = readPreset(input.flags?.preset, problems);
  const withRedis = isSet(input.env, "HOP_REDIS_URL") || isSet(input.env, "HOP_REDIS_URL_FILE");
  const config: Draft = {};
  const labels: Labels = {};

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it ties the value's type to the field
  function load<Name extends Field>(field: Name): void {
    const row: Variable<Config[Name]> = VARIABLES[field];
    const setting = readSetting(row, input, problems);
    if (setting === "unreadable") return;
    labels[field] = setting?.label ?? row.name;
    if (setting === undefined) {
      config[field] = preset[field] ?? standardValue(row, withRedis, input);
      return;
    }
    const parsed = parse(row, setting, input);
    if ("problem" in parsed) problems.push(parsed.problem);
    else config[field] = parsed.value;
  }

  for (const field of FIELDS) load(field);
  problems.push(...findConflicts(config, labels, withRedis));
  if (problems.length > 0 || !isComplete(config)) throw new ConfigError(problems);
  return Object.freeze(config);
}

function isComplete(config: Draft): config is Config {
  return FIELDS.every((field) => field in config);
}

function isSet(env: ConfigInput["env"], name: string): boolean {
  return (env[name] ?? "") !== "";
}

function readPreset(name: string | undefined, problems: string[]): Partial<Config> {
  if (name === undefined) return {};
  const known: Readonly<Record<string, Partial<Config>>> = PRESETS;
  const preset = Object.hasOwn(known, name) ? known[name] : undefined;
  if (preset !== undefined) return preset;
  problems.push(`--preset: ${quote(name)} is not a preset; write one of ${Object.keys(PRESETS).join(", ")}`);
  return {};
}

/** The flag, the variable or its file; undefined if none is set. Pushes a problem when it is "unreadable". */
function readSetting(
  row: Variable,
  input: ConfigInput,
  problems: string[],
): Setting | "unreadable" | undefined {
  const flag = row.flag === undefined ? undefined : input.flags?.[row.flag];
  if (flag !== undefined) return { label: `--${row.flag}`, text: flag, shown: quote(flag) };

  const text = input.env[row.name] ?? "";
  const path = input.env[`${row.name}_FILE`] ?? "";
  if (text !== "" && path !== "") {
    problems.push(`${row.name}: ${row.name}_FILE is set as well; remove one of them`);
    return "unreadable";
  }
  if (path !== "") return readSettingFile(row, path, input.readFile, problems);
  if (text === "") return undefined;
  return { label: row.name, text, shown: row.secret ? "its value (not shown)" : quote(text) };
}

function readSettingFile(
  row: Variable,
  path: string,
  readFile: ConfigInput["readFile"],
  problems: string[],
): Setting | "unreadable" {
  const label = `${row.name}_FILE`;
  // A secret that was put where its path belongs must not be shown either.
  const shownPath = row.secret && /:\/\/|^hop_/.test(path) ? "its value (not shown)" : quote(path);
  let text: string;
  try {
    text = readFile(path).replace(/\r?\n$/, "");
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const reason = "code" in error ? ` (${String(error.code)})` : "";
    problems.push(`${label}: ${shownPath} can't be read${reason}; write the path of a readable file`);
    return "unreadable";
  }
  if (text === "") {
    // Taking this for unset would start the embedded Postgres because a secret failed to mount.
    problems.push(`${label}: ${shownPath} is empty; put the value into it or remove ${label}`);
    return "unreadable";
  }
  return { label, text, shown: `the content of ${shownPath}` };
}

function parse<T>(
  row: Variable<T>,
  { label, text, shown }: Setting,
  surroundings: Surroundings,
): { value: T } | { problem: string } {
  const parsed = row.kind.parse(text, surroundings);
  if ("value" in parsed) return parsed;
  return { problem: `${label}: ${shown} ${parsed.refused}; write ${row.kind.accepts}` };
}

function standardValue<T>(row: Variable<T>, withRedis: boolean, surroundings: Surroundings): T | undefined {
  const text = (withRedis ? row.defaultWithRedis : undefined) ?? row.default;
  if (text === undefined) return undefined;
  const parsed = row.kind.parse(text, surroundings);
  if ("value" in parsed) return parsed.value;
  throw new Error(`the default of ${row.name} ${parsed.refused}`);
}

/** Kubernetes describes a Service named hop to its pods with these. */
const SERVICE_LINK = /^HOP_(\w+_)?(SERVICE_(HOST|PORT)|PORT_\d+_)/;

function findUnknownVariables(env: ConfigInput["env"]): string[] {
  const known = FIELDS.flatMap((field) => [VARIABLES[field].name, `${VARIABLES[field].name}_FILE`]);
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith("HOP_") && isSet(env, name) && !known.includes(name),
  );
  return unknown.map((name) =>
    SERVICE_LINK.test(name)
      ? `${name}: Kubernetes adds this for a Service named hop; set enableServiceLinks: false in the pod`
      : `${name}: hop has no such variable; did you mean ${nearest(name, known)}? Rename or remove it`,
  );
}

/** Whether listeners on these hosts would fight for one port. */
function overlap(host: string | undefined, other: string | undefined): boolean {
  if (host === undefined || other === undefined) return false;
  return host === other || [host, other].some((name) => name === "0.0.0.0" || name === "::");
}

/** Values that are good alone and not together. A value that is itself a problem is absent from `config`. */
function findConflicts(config: Draft, labels: Labels, withRedis: boolean): string[] {
  const conflicts: string[] = [];
  const { port, adminPort, clicks, cache, clicksWaitMs = 0, clicksTimeoutMs = Infinity } = config;
  if (port !== undefined && port !== 0 && port === adminPort && overlap(config.host, config.adminHost)) {
    conflicts.push(
      `${labels.adminPort}: ${port} is ${labels.port} as well; write another port, or 0 to turn the admin listener off`,
    );
  }
  if (clicks === "stream" && !withRedis) {
    conflicts.push(`${labels.clicks}: "stream" needs Redis; set HOP_REDIS_URL, or write inline or batch`);
  }
  if ((cache === "redis" || cache === "tiered") && !withRedis) {
    conflicts.push(`${labels.cache}: "${cache}" needs Redis; set HOP_REDIS_URL, or write off or memory`);
  }
  if (clicksWaitMs > clicksTimeoutMs) {
    conflicts.push(
      `${labels.clicksWaitMs}: ${clicksWaitMs} is more than ${labels.clicksTimeoutMs} (${clicksTimeoutMs}); write at most that`,
    );
  }
  const { streamWaitReplicas = 0, streamWaitMs = 0, redisTimeoutMs = Infinity } = config;
  if (streamWaitReplicas > 0 && streamWaitMs >= redisTimeoutMs) {
    conflicts.push(
      `${labels.streamWaitMs}: ${streamWaitMs} is not less than ${labels.redisTimeoutMs} (${redisTimeoutMs}); write less, or no batch is ever confirmed while a replica is away`,
    );
  }
  conflicts.push(...findReplicaConflicts(config, labels));
  return conflicts;
}

function findReplicaConflicts(config: Draft, labels: Labels): string[] {
  const { databaseUrl, databaseReadUrl, cache, cacheTtlMs = Infinity, replicaLagMaxMs = 0 } = config;
  if (databaseReadUrl === undefined) return [];
  const conflicts: string[] = [];
  if ("databaseUrl" in config && databaseUrl === undefined) {
    conflicts.push(
      `${labels.databaseReadUrl}: the embedded Postgres has no replica; set HOP_DATABASE_URL to its primary`,
    );
  }
  if (cache !== "off" && cacheTtlMs <= replicaLagMaxMs) {
    conflicts.push(
      `${labels.replicaLagMaxMs}: ${replicaLagMaxMs} is not less than ${labels.cacheTtlMs} (${cacheTtlMs}); write less than that`,
    );
  }
  return conflicts;
}

/** For a problem: on one line, short, and without the credentials of a URL. */
function quote(text: string): string {
  const safe = text.replace(/\/\/.*@/s, "//***@");
  return JSON.stringify(safe.length > 100 ? `${safe.slice(0, 100)}…` : safe);
}
