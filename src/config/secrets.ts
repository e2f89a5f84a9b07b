// Which texts of a configuration must never be shown.

import { type Config, FIELDS, VARIABLES } from "./variables.ts";

/** The secret values, and the passwords in those that are URLs, as written and decoded. */
export function secretsOf(config: Config): string[] {
  const values = FIELDS.filter((field) => VARIABLES[field].secret).map((field) => config[field]);
  return values
    .filter((value) => typeof value === "string")
    .flatMap((value) => [value, ...passwordsIn(value)]);
}

/** Of a URL, or of several with commas between them. */
function passwordsIn(value: string): string[] {
  return [...value.matchAll(/:\/\/[^\s/?#@:]*:([^\s/?#]*)@/g)].flatMap(([, password = ""]) => [
    password,
    decoded(password),
  ]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
