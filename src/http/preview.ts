// GET /:code+: where a link goes, for people who want to know before they follow it. Not a click.
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { LinkManager } from "../links/manage.ts";
import { previewPage } from "./pages.ts";
import type { Refuse } from "./refusal.ts";

export interface PreviewOptions {
  readonly links: Pick<LinkManager, "get">;
  readonly clock: Clock;
  readonly baseUrl: () => string;
  readonly refuse: Refuse;
  /** For every page, such as Strict-Transport-Security. */
  readonly headers: Readonly<Record<string, string>>;
}

export type Preview = (
  request: Request,
  code: string,
  clientIp: string,
  requestId: string,
) => Promise<Response>;

export function createPreview({ links, clock, baseUrl, refuse, headers }: PreviewOptions): Preview {
  return async (request, code, clientIp, requestId) => {
    try {
      const link = await links.get(code);
      if (link.expiresAt !== null && link.expiresAt.getTime() <= clock()) {
        throw new AppError("LINK_GONE", `The link "${code}" has expired.`);
      }
      const { url: target, createdAt, expiresAt } = link;
      const shortUrl = `${baseUrl()}/${code}`;
      return previewPage({ shortUrl, target, createdAt, expiresAt }, requestId, headers);
    } catch (error) {
      return (await refuse(error, request, clientIp, requestId)).response;
    }
  };
}
