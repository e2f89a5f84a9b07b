// The OpenAPI document: valid, whole, and the one that is committed.
import { expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { generatedFile, openApi, openApiPage } from "../helpers/generated.ts";

/** Every value of this key, however deep. */
function valuesOf(key: string, value: unknown): unknown[] {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, part]) => [
    ...(name === key ? [part] : []),
    ...valuesOf(key, part),
  ]);
}

test("docs/openapi.json is up to date (if not: npm run regenerate)", async () => {
  expect(await generatedFile("openapi.json").text()).toBe(openApiPage());
});

test("the document keeps the rules of OpenAPI 3.1", async () => {
  const validator = new Validator();
  expect(await validator.validate(openApi())).toEqual({ valid: true });
  expect(validator.version).toBe("3.1");
});

test("a document that breaks them would be noticed", async () => {
  const { valid } = await new Validator().validate({
    ...openApi(),
    paths: { "/x": { get: { responses: 1 } } },
  });
  expect(valid).toBe(false);
});

test("every reference leads to a component, and every operation has a name of its own", () => {
  const document = openApi();
  const { schemas } = document["components"] as { schemas: object };
  const references = new Set(valuesOf("$ref", document));
  expect([...references].map(String)).toEqual(
    expect.arrayContaining(Object.keys(schemas).map((name) => `#/components/schemas/${name}`)) as string[],
  );
  for (const reference of references)
    expect(schemas).toHaveProperty(String(reference).split("/").at(-1) ?? "");
  const names = valuesOf("operationId", document);
  expect(names).toHaveLength(6);
  expect(new Set(names).size).toBe(names.length);
});

test("every operation documents what may go wrong, as problem documents", () => {
  for (const responses of valuesOf("responses", openApi())) {
    expect(Object.keys(responses as object)).toEqual(expect.arrayContaining(["401", "403", "422", "503"]));
    const [notAllowed] = Object.entries(responses as object).filter(([status]) => status === "401");
    expect(JSON.stringify(notAllowed)).toContain("application/problem+json");
  }
});
