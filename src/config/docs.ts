// docs/configuration.md, made from the table of variables.

import { PRESETS } from "./presets.ts";
import { keysOf, VARIABLES, type Config, type Group, type Variable } from "./variables.ts";

const GROUPS: readonly Group[] = [
  "Serving",
  "Storage",
  "Clicks",
  "Cache",
  "Codes",
  "Access and logs",
  "Rate limits",
  "Bounds",
];

const INTRODUCTION = `
# Configuration

hop is configured by environment variables. All of them are checked at the start, and all problems are
reported at once.

- Every variable can also be given as \`NAME_FILE\`, a path whose content is the value; one newline at its end
  is dropped. Setting both, or naming a file that is empty or can't be read, is an error.
- An empty variable is an unset one.
- An unknown variable that begins with \`HOP_\` is an error. (A Kubernetes Service named \`hop\` puts such
  variables into its pods: set \`enableServiceLinks: false\`.)
- \`--port\` and \`--workers\` win over \`HOP_PORT\` and \`HOP_WORKERS\`. Both win over what \`--preset\` sets, and a
  preset wins over the defaults.
- \`HOP_DATABASE_URL\`, \`HOP_DATABASE_READ_URL\`, \`HOP_REDIS_URL\`, \`HOP_TRACE_URL\` and \`HOP_ADMIN_KEY\` are secrets and are never shown in
  an error.
- The two listeners can't share a port.
`;

const INTRODUCTIONS: { readonly [Name in Group]?: readonly string[] } = {
  "Rate limits": [
    "Above them a request gets 429 until the minute that began with its first use is over. Redis counts for all",
    "processes; without Redis each process counts alone. Redirects of links that exist are never limited.",
  ],
  Bounds: ["Every queue, cache, batch, body and wait ends somewhere; here is where."],
};

/** The whole page. A unit test fails while the committed one differs. */
export function configurationPage(): string {
  const rows: readonly Variable[] = Object.values(VARIABLES);
  const sections = GROUPS.flatMap((group) => [
    `## ${group}`,
    "",
    ...(INTRODUCTIONS[group]?.concat("") ?? []),
    "| variable | default | unit | accepts | meaning |",
    "| --- | --- | --- | --- | --- |",
    ...rows.filter((row) => row.group === group).map(tableRow),
    "",
  ]);
  return [
    "<!-- Made from src/config/variables.ts and bounds.ts by `npm run regenerate`: change those and run that. -->",
    INTRODUCTION,
    ...sections,
    ...presets(),
  ].join("\n");
}

function tableRow(row: Variable): string {
  const { name, kind, doc } = row;
  return `| ${[`\`${name}\``, standard(row), kind.unit ?? "", kind.accepts, doc].join(" | ")} |`;
}

function standard(row: Variable): string {
  if (!row.default) return `(${row.unset})`;
  if (row.defaultWithRedis === undefined) return `\`${row.default}\``;
  return `\`${row.defaultWithRedis}\` with Redis, else \`${row.default}\``;
}

function presets(): string[] {
  const lines = keysOf(PRESETS).map((name) => {
    const preset: Partial<Config> = PRESETS[name];
    const settings = keysOf(preset).map((field) => `\`${VARIABLES[field].name}=${String(preset[field])}\``);
    return `- \`${name}\`: ${settings.join(", ")}`;
  });
  return ["## Presets", "", ...lines, ""];
}
