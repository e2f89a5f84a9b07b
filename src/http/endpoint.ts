// One API operation: what it takes, what it answers, what it does. Validation and documentation read the same object.
import type { z } from "zod";
import type { ApiKey, Scope } from "../keys/key.ts";
import { AppError, type ErrorCode, type FieldError } from "../lib/errors.ts";

export interface EndpointInput<Query, Body> {
  /** The `:code` of the path; empty where the path has none. */
  readonly code: string;
  readonly query: Query;
  readonly body: Body;
  readonly headers: Headers;
  readonly key: ApiKey;
}

export interface EndpointAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface Endpoint<Query extends z.ZodType = z.ZodType, Body extends z.ZodType = z.ZodType> {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** With `:code` where the link's code stands. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly scope: Scope;
  readonly query?: Query;
  readonly body?: Body;
  /** Request headers that change what the operation does. */
  readonly headerNotes?: Readonly<Record<string, { description: string; schema: z.ZodType }>>;
  readonly answer: { readonly status: number; readonly description: string; readonly schema?: z.ZodType };
  /** Errors of this operation, beside those that every operation may give. */
  readonly errors: readonly ErrorCode[];
  readonly handle: (input: EndpointInput<z.output<Query>, z.output<Body>>) => Promise<EndpointAnswer>;
}

/** An endpoint whose own types are checked here and forgotten afterwards, so that a table can hold many. */
export function endpoint<Query extends z.ZodType = z.ZodUndefined, Body extends z.ZodType = z.ZodUndefined>(
  definition: Endpoint<Query, Body>,
): Endpoint {
  return definition as Endpoint;
}

/** Data is parsed at the edge and trusted inside. @throws INVALID with one entry per wrong field */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.flatMap(toFieldErrors).slice(0, MAX_REPORTED);
  const names = [...new Set(fields.map((field) => field.path))].join(", ");
  throw new AppError("INVALID", `Please correct: ${names}.`, { fields });
}

const MAX_REPORTED = 50;

function toFieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((name) => ({
      path: [...issue.path, name].join(".").slice(0, 100),
      message: "is not known here; remove it",
    }));
  }
  return [{ path: path === "" ? "body" : path, message: issue.message }];
}
