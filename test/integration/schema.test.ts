// docs/schema.sql says what the migrations make.
import { expect, test } from "bun:test";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { createPartitions } from "../../src/storage/postgres/partitions.ts";
import { createTestDatabase } from "../helpers/database.ts";
import { generatedFile, schemaPage } from "../helpers/generated.ts";
import { dumpSchema } from "../helpers/schema-dump.ts";

test("docs/schema.sql is up to date (if not: npm run regenerate)", async () => {
  expect(await generatedFile("schema.sql").text()).toBe(await schemaPage());
});

test("it is SQL that makes the same schema", async () => {
  const database = await createTestDatabase();
  try {
    const page = await generatedFile("schema.sql").text();
    await database.sql.unsafe(page);
    expect(await dumpSchema(database.sql)).toBe(page);
  } finally {
    await database.drop();
  }
});

test("it does not change with the days that have partitions", async () => {
  const database = await createTestDatabase();
  try {
    await migrate(database.sql);
    await createPartitions(database.sql, Date.now());
    expect(await dumpSchema(database.sql)).toBe(await schemaPage());
  } finally {
    await database.drop();
  }
});
