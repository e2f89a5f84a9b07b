// The link operations of the API.
import { createHash } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { invalid } from "../lib/errors.ts";
import type { Link } from "../links/link.ts";
import type { LinkManager, LinkRequest } from "../links/manage.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";
import {
  changeLinkBody,
  createLinkBody,
  idempotencyKey,
  linkAnswer,
  listAnswer,
  listQuery,
} from "./schemas.ts";

export interface LinkEndpointOptions {
  readonly links: LinkManager;
  readonly clock: Clock;
  /** Origin of short URLs, without a slash at the end. Known once the server listens. */
  readonly baseUrl: () => string;
}

const IDEMPOTENCY_MS = 24 * 60 * 60 * 1_000;

export function linkEndpoints({ links, clock, baseUrl }: LinkEndpointOptions): Endpoint[] {
  const ownHosts = () => new Set([new URL(baseUrl()).host]);
  const show = (link: Link) => ({
    code: link.code,
    shortUrl: `${baseUrl()}/${link.code}`,
    url: link.url,
    title: link.title,
    tags: link.tags,
    status: link.status,
    createdAt: link.createdAt.toISOString(),
    updatedAt: link.updatedAt.toISOString(),
    expiresAt: link.expiresAt?.toISOString() ?? null,
    clicks: link.clicks,
  });

  return [
    endpoint({
      method: "POST",
      path: "/api/v1/links",
      operationId: "createLink",
      summary: "Make a short link",
      description:
        "Without `code` hop makes one. A code belongs to its first owner for ever, also after deletion.",
      scope: "links:write",
      body: createLinkBody(ownHosts),
      headerNotes: { "Idempotency-Key": { description: "Makes retries safe.", schema: idempotencyKey } },
      answer: { status: 201, description: "The link was made and survives a crash.", schema: linkAnswer },
      errors: ["CODE_TAKEN", "IDEMPOTENCY_MISMATCH"],
      handle: async ({ body, headers, key }) => {
        const request: LinkRequest = { ...body, code: body.code };
        const header = headers.get("idempotency-key");
        const link =
          header === null
            ? await links.create(request)
            : await links.createOnce(request, {
                apiKeyId: key.id,
                key: parseIdempotencyKey(header),
                requestHash: createHash("sha256").update(JSON.stringify(request)).digest(),
                sinceMs: clock() - IDEMPOTENCY_MS,
              });
        return { status: 201, body: show(link), headers: { Location: `/api/v1/links/${link.code}` } };
      },
    }),
    endpoint({
      method: "GET",
      path: "/api/v1/links",
      operationId: "listLinks",
      summary: "List links, newest first",
      description: "Go on with `cursor` = `nextCursor` until it is null. Deleted links are not listed.",
      scope: "links:read",
      query: listQuery,
      answer: { status: 200, description: "A page of links.", schema: listAnswer },
      errors: [],
      handle: async ({ query }) => {
        const beforeId = query.cursor === undefined ? undefined : parseCursor(query.cursor);
        // One more than asked for tells whether there is another page.
        const found = await links.list({ limit: query.limit + 1, beforeId, text: query.q, tag: query.tag });
        const items = found.slice(0, query.limit);
        const last = items.at(-1);
        const nextCursor = found.length > items.length && last !== undefined ? makeCursor(last.id) : null;
        return { status: 200, body: { items: items.map(show), nextCursor } };
      },
    }),
    endpoint({
      method: "GET",
      path: "/api/v1/links/:code",
      operationId: "getLink",
      summary: "Read a link",
      description: "A deleted link answers 410.",
      scope: "links:read",
      answer: { status: 200, description: "The link.", schema: linkAnswer },
      errors: ["LINK_NOT_FOUND", "LINK_GONE"],
      handle: async ({ code }) => ({ status: 200, body: show(await links.get(code)) }),
    }),
    endpoint({
      method: "PATCH",
      path: "/api/v1/links/:code",
      operationId: "changeLink",
      summary: "Change a link",
      description:
        "Only the fields given change; null clears `title` and `expiresAt`. Every process sees it within 100 ms.",
      scope: "links:write",
      body: changeLinkBody(ownHosts),
      answer: { status: 200, description: "The link as it is now.", schema: linkAnswer },
      errors: ["LINK_NOT_FOUND", "LINK_GONE"],
      handle: async ({ code, body: { url, title, tags, status, expiresAt } }) => {
        const change = {
          ...(url !== undefined && { url }),
          ...(title !== undefined && { title }),
          ...(tags !== undefined && { tags }),
          ...(status !== undefined && { status }),
          ...(expiresAt !== undefined && { expiresAt }),
        };
        return { status: 200, body: show(await links.change(code, change)) };
      },
    }),
    endpoint({
      method: "DELETE",
      path: "/api/v1/links/:code",
      operationId: "deleteLink",
      summary: "Delete a link",
      description:
        "Its short URL answers 410 from then on; its statistics stay; its code is not given out again.",
      scope: "links:write",
      answer: { status: 204, description: "It is deleted." },
      errors: ["LINK_NOT_FOUND", "LINK_GONE"],
      handle: async ({ code }) => {
        await links.delete(code);
        return { status: 204 };
      },
    }),
  ];
}

function parseIdempotencyKey(header: string): string {
  const result = idempotencyKey.safeParse(header);
  if (!result.success) throw invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters");
  return result.data;
}

function makeCursor(id: number): string {
  return Buffer.from(`before:${id}`).toString("base64url");
}

function parseCursor(cursor: string): number {
  const id = Number(
    /^before:([1-9]\d{0,15})$/.exec(Buffer.from(cursor, "base64url").toString("latin1"))?.[1],
  );
  if (!Number.isSafeInteger(id))
    throw invalid("cursor", "is not a cursor; use nextCursor of an earlier answer");
  return id;
}
