// Loads configurations for tests: on a made-up machine with 8 cores, without files unless a test gives some.

import { ConfigError, loadConfig, type Config, type ConfigInput } from "../../src/config.ts";
import { VARIABLES, type Variable } from "../../src/config/variables.ts";

type Env = ConfigInput["env"];

export const ROWS: readonly Variable[] = Object.values(VARIABLES);
export const KEY = `hop_${"k".repeat(32)}`;
export const REDIS = "redis://cache:6379";

export function load(env: Env = {}, rest: Partial<ConfigInput> = {}): Config {
  return loadConfig({ env, readFile: noFile, cwd: "/srv/hop", cores: 8, ...rest });
}

/** The problems of a configuration that is refused; none if it is accepted. */
export function problemsOf(loading: () => Config): readonly string[] {
  try {
    loading();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function noFile(): never {
  throw Object.assign(new Error("no such file"), { code: "ENOENT" });
}
