// The shapes of requests and answers. They validate, and the OpenAPI document is made from them.
import { z } from "zod";
import { BOT_FILTERS, DIMENSIONS, INTERVALS } from "../clicks/stats.ts";
import { AppError } from "../lib/errors.ts";
import { parseChosenCode } from "../links/code.ts";
import { MAX_TARGET_LENGTH, parseTarget } from "../links/target.ts";

const MAX_TITLE = 300;
const MAX_TAG = 50;
const MAX_TAGS = 20;
const MAX_SEARCH = 200;
const MAX_LIST = 200;
const DEFAULT_LIST = 50;

/** Postgres keeps neither NUL nor half a surrogate pair; other control characters only confuse readers. */
const plainText = (max: number) =>
  z
    .string("must be text")
    .max(max, `must have at most ${max} characters`)
    .refine(
      (text) => text.isWellFormed() && !/\p{Cc}/u.test(text),
      "must not have control characters or broken Unicode",
    );

const tag = plainText(MAX_TAG)
  .trim()
  .min(1, "must not be empty")
  .refine((text) => !text.includes(","), "must not have a comma");

const tags = z
  .array(tag, "must be a list of texts")
  .max(MAX_TAGS, `must have at most ${MAX_TAGS} tags`)
  .transform((list) => [...new Set(list)]);

const DATE_HINT = "must be a date and time with a zone, as in 2030-01-31T12:00:00Z";

/** Where four-digit years end; in UTC, because an offset can lead out of them. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Four-digit years: what both ISO 8601 and Postgres can hold. */
const dateTime = z
  .string(DATE_HINT)
  .pipe(z.iso.datetime({ offset: true, error: DATE_HINT, abort: true }))
  .refine((text) => text >= "1970" && Date.parse(text) <= LAST_MS, DATE_HINT)
  .meta({ format: "date-time", examples: ["2030-01-31T12:00:00Z"] });

const instant = dateTime.transform((text) => new Date(text));

/** Hosts that a link may not lead to, because they are hop's own. */
type OwnHosts = () => ReadonlySet<string>;

const target = (ownHosts: OwnHosts) =>
  z
    .string("must be text: an absolute http or https URL")
    .meta({
      format: "uri",
      maxLength: MAX_TARGET_LENGTH,
      examples: ["https://example.com/a/long/path?with=query"],
    })
    .transform(byDomainRule((raw) => parseTarget(raw, ownHosts())));

const chosenCode = z
  .string("must be text")
  .meta({ description: "1-64 of A-Z a-z 0-9 - _; made by hop when missing", examples: ["spring-sale"] })
  .transform(byDomainRule(parseChosenCode));

/** Lets a rule of the domain speak as part of a schema, so that all wrong fields are reported together. */
function byDomainRule(rule: (raw: string) => string) {
  return (raw: string, context: z.core.$RefinementCtx<string>): string => {
    try {
      return rule(raw);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      for (const { message } of error.fields) context.addIssue({ code: "custom", message, input: raw });
      return z.NEVER;
    }
  };
}

const title = plainText(MAX_TITLE).trim().nullable();
const status = z.union([z.literal(301), z.literal(302), z.literal(307), z.literal(308)], {
  error: "must be 301, 302, 307 or 308",
});

/** Only objects have fields; the answer to anything else says so. */
const fields = <Shape extends z.core.$ZodShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === "invalid_type" ? "must be a JSON object" : undefined),
  });

export const createLinkBody = (ownHosts: OwnHosts) =>
  fields({
    url: target(ownHosts),
    code: chosenCode.optional(),
    title: title.default(null),
    tags: tags.default([]),
    status: status.default(302),
    expiresAt: instant.nullable().default(null),
  }).meta({ id: "LinkCreate" });

export const changeLinkBody = (ownHosts: OwnHosts) =>
  fields({
    url: target(ownHosts).optional(),
    title: title.optional(),
    tags: tags.optional(),
    status: status.optional(),
    expiresAt: instant.nullable().optional(),
  }).meta({ id: "LinkChange" });

/** A whole number in a query string; `Number` would also take "1e2", " 5" and "0x1". */
const count = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);

export const listQuery = z.strictObject({
  limit: count(1, MAX_LIST)
    .default(DEFAULT_LIST)
    .meta({ description: `1 to ${MAX_LIST}` }),
  cursor: z.string().max(100, "is not a cursor; use nextCursor of an earlier answer").optional(),
  q: plainText(MAX_SEARCH)
    .optional()
    .meta({ description: "text in the code, title or URL; upper and lower case are alike" }),
  tag: plainText(MAX_TAG).optional(),
});

export const statsQuery = z.strictObject({
  from: instant.optional().meta({ description: "start; widened to whole buckets (UTC)" }),
  to: instant.optional().meta({ description: "end; widened to whole buckets (UTC); now when missing" }),
  interval: z.enum(INTERVALS, `must be ${INTERVALS.join(", ")}`).default("day"),
  by: z.enum(DIMENSIONS, `must be one of ${DIMENSIONS.join(", ")}`).default("country"),
  bots: z.enum(BOT_FILTERS, `must be ${BOT_FILTERS.join(", ")}`).default("include"),
});

export const linkAnswer = z
  .object({
    code: z.string(),
    shortUrl: z.string().meta({ format: "uri" }),
    url: z.string().meta({ format: "uri" }),
    title: z.string().nullable(),
    tags: z.array(z.string()),
    status,
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable(),
    clicks: z.int().meta({ description: "stored clicks, bots included" }),
  })
  .meta({ id: "Link" });

export const listAnswer = z
  .object({ items: z.array(linkAnswer), nextCursor: z.string().nullable() })
  .meta({ id: "LinkList" });

export const statsAnswer = z
  .object({
    total: z.int(),
    unique: z.int().meta({
      description: "visitors, each counted once a day: the hash that tells them apart changes daily",
    }),
    series: z.array(z.object({ start: z.iso.datetime(), clicks: z.int(), unique: z.int() })),
    top: z.array(z.object({ value: z.string(), clicks: z.int() })),
    asOf: z.iso.datetime().meta({ description: "every click stored before this moment is counted" }),
  })
  .meta({ id: "Stats" });

export const problemAnswer = z
  .object({
    type: z.string(),
    status: z.int(),
    code: z.string(),
    title: z.string(),
    detail: z.string().optional(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    requestId: z.string(),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem details" });

export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, "must be 1 to 255 visible ASCII characters")
  .meta({ description: "the same key and body give the same answer for 24 hours" });
