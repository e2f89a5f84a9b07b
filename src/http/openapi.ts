// The OpenAPI 3.1 document, made from the endpoints and the schemas that validate.
import { z } from "zod";
import { AppError, type ErrorCode } from "../lib/errors.ts";
import type { Endpoint } from "./endpoint.ts";
import { describeProblem } from "./problem.ts";
import { problemAnswer } from "./schemas.ts";

type Json = Record<string, unknown>;

const EVERYWHERE: readonly ErrorCode[] = [
  "UNAUTHENTICATED",
  "FORBIDDEN",
  "INVALID",
  "RATE_LIMITED",
  "TEMPORARILY_UNAVAILABLE",
];
const WITH_BODY: readonly ErrorCode[] = [
  "MALFORMED_JSON",
  "REQUEST_TIMEOUT",
  "BODY_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
];

export function openApiDocument(endpoints: readonly Endpoint[], version: string): Json {
  const components: Json = {};
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(":code", "{code}");
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(endpoint, components) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "hop",
      version,
      description:
        "Short links whose clicks are counted exactly once. Errors are problem documents with a stable `code`.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ apiKey: [] }],
    paths,
    components: {
      schemas: components,
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", description: "An API key: hop_…" } },
    },
  };
}

function operation(endpoint: Endpoint, components: Json): Json {
  const parameters = [
    ...(endpoint.path.includes(":code")
      ? [
          {
            name: "code",
            in: "path",
            required: true,
            schema: { type: "string" },
            description: "the link's code",
          },
        ]
      : []),
    ...queryParameters(endpoint.query),
    ...Object.entries(endpoint.headerNotes ?? {}).map(([name, note]) => ({
      name,
      in: "header",
      required: false,
      description: note.description,
      schema: toSchema(note.schema, "input", {}),
    })),
  ];
  const { answer } = endpoint;
  return {
    operationId: endpoint.operationId,
    tags: [endpoint.scope.split(":")[0]],
    summary: endpoint.summary,
    description: `${endpoint.description}\n\nNeeds the scope \`${endpoint.scope}\`.`,
    ...(parameters.length > 0 && { parameters }),
    ...(endpoint.body && {
      requestBody: {
        required: true,
        content: { "application/json": { schema: toSchema(endpoint.body, "input", components) } },
      },
    }),
    responses: {
      [answer.status]: {
        description: answer.description,
        ...(answer.schema && {
          content: { "application/json": { schema: toSchema(answer.schema, "output", components) } },
        }),
      },
      ...problems([...EVERYWHERE, ...(endpoint.body ? WITH_BODY : []), ...endpoint.errors], components),
    },
  };
}

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = toSchema(query, "input", {}) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: "query",
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema,
  }));
}

/** One answer per status; its description names the codes. */
function problems(codes: readonly ErrorCode[], components: Json): Record<string, Json> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = describeProblem(new AppError(code, ""));
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const schema = toSchema(problemAnswer, "output", components);
  return Object.fromEntries(
    [...byStatus]
      .toSorted(([a], [b]) => a - b)
      .map(([status, names]) => [
        status,
        { description: names.join(" or "), content: { "application/problem+json": { schema } } },
      ]),
  );
}

/** JSON Schema 2020-12, which is what OpenAPI 3.1 uses. Schemas with an id become components. */
function toSchema(schema: z.ZodType, io: "input" | "output", components: Json): Json {
  const {
    $schema: _dialect,
    $defs = {},
    ...made
  } = z.toJSONSchema(schema, { io, target: "draft-2020-12" }) as Json & {
    $defs?: Json;
  };
  const text = (part: unknown) =>
    JSON.parse(JSON.stringify(part).replaceAll("#/$defs/", "#/components/schemas/")) as Json;
  for (const [name, part] of Object.entries($defs)) components[name] = text(part);
  const id = schema.meta()?.id;
  if (id === undefined) return text(made);
  components[id] = text(made);
  return { $ref: `#/components/schemas/${id}` };
}
