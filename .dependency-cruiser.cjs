// The import rules of docs/architecture.md, as a tool that fails.
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: "error",
  from: { path: from },
  to: { path: "^src/", pathNot: allowed },
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    only("lib-stands-alone", "^src/lib/", ["^src/lib/"], "lib knows nothing of links or clicks"),
    only("links-domain", "^src/links/", ["^src/(links|lib)/"], "the domain knows neither HTTP nor storage"),
    only(
      "clicks-domain",
      "^src/clicks/",
      ["^src/(clicks|lib)/", "^src/links/link\\.ts$"],
      "the domain knows neither HTTP nor storage",
    ),
    only("keys-domain", "^src/keys/", ["^src/(keys|lib)/"], "the domain knows neither HTTP nor storage"),
    only(
      "http-speaks-domain",
      "^src/http/",
      ["^src/(http|links|clicks|keys|lib)/"],
      "http knows no SQL and no Redis",
    ),
    only(
      "storage-implements-ports",
      "^src/storage/",
      ["^src/(storage|lib)/", "^src/(links|clicks|keys)/"],
      "storage knows no HTTP",
    ),
    only(
      "fleet-knows-processes",
      "^src/fleet/",
      ["^src/(fleet|lib)/"],
      "fleet knows no HTTP routes and no storage",
    ),
    {
      name: "http-uses-no-database-client",
      severity: "error",
      from: { path: "^src/(http|links|clicks|keys|lib|fleet)/" },
      to: { path: "node_modules/(postgres|ioredis|pg|postgrator)/" },
    },
    {
      name: "only-compose-and-commands-wire",
      severity: "error",
      from: { path: "^src/(http|links|clicks|keys|lib|storage|fleet)/" },
      to: { path: "^src/(compose[^/]*|open-[^/]*|config|main)\\.ts$|^src/(commands|config)/" },
    },
    only(
      "tracing-wraps-clicks",
      "^src/tracing/",
      ["^src/(tracing|clicks|lib)/"],
      "tracing knows no HTTP and no storage",
    ),
    {
      name: "tracing-is-loaded-when-it-is-on",
      comment: "whoever traces nothing loads nothing of it: only open-tracing.ts imports it, at run time",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/tracing/" },
      to: { path: "^src/tracing/|node_modules/@opentelemetry/", dependencyTypesNot: ["dynamic-import"] },
    },
    {
      name: "bench-uses-the-http-api",
      severity: "error",
      // What observation costs is measured on the parts themselves, with and without it.
      from: { path: "^(lab|bench|web)/", pathNot: "^bench/cost-server\\.ts$" },
      to: { path: "^src/(http|links|clicks|keys|storage)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["bun", "import", "types", "default"],
    },
    builtInModules: { add: ["bun", "bun:test"] },
  },
};
