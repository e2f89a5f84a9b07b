// What the committed files that are made from code have to hold.
import packageJson from "../../package.json" with { type: "json" };
import { apiEndpoints } from "../../src/http/endpoints.ts";
import { openApiDocument } from "../../src/http/openapi.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { CodeGenerator, DEFAULT_ALPHABET } from "../../src/links/code.ts";
import { LinkManager } from "../../src/links/manage.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { openMemoryStores } from "../contract/memory-stores.ts";
import { createTestDatabase } from "./database.ts";
import { dumpSchema } from "./schema-dump.ts";

const nothing = () => undefined;
const baseUrl = () => "http://localhost:8080";
const DOCS = new URL("../../docs/", import.meta.url);

/** A committed file that is made from code. */
export function generatedFile(
  name: "configuration.md" | "openapi.json" | "schema.sql" | "../deploy/grafana/dashboards/hop.json",
) {
  return Bun.file(new URL(name, DOCS));
}

/** The document that a server would answer at /api/openapi.json; its table of operations needs no server. */
export function openApi(): Record<string, unknown> {
  const { links: store, idempotency, reader: clicks } = openMemoryStores();
  const links = new LinkManager({
    store,
    idempotency,
    codes: new CodeGenerator(DEFAULT_ALPHABET, 7),
    clock: systemClock,
    maxAttempts: 1,
    maxBatch: 1,
    maxQueued: 1,
    onCollision: nothing,
    onCreated: nothing,
    onChanged: nothing,
    freshenClicks: async () => undefined,
  });
  return openApiDocument(apiEndpoints({ links, clicks, clock: systemClock, baseUrl }), packageJson.version);
}

export function openApiPage(): string {
  return `${JSON.stringify(openApi(), undefined, 2)}\n`;
}

/** The schema of an empty database after all migrations. */
export async function schemaPage(): Promise<string> {
  const database = await createTestDatabase();
  try {
    await migrate(database.sql);
    return await dumpSchema(database.sql);
  } finally {
    await database.drop();
  }
}
