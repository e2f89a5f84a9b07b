// GET /:code+: where a link goes, for people who want to know before they follow it. Not a click.
import type { Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { LinkManager } from "../links/manage.ts";
import { previewPage, problemPage } from "./pages.ts";
import { describeProblem, problemResponse } from "./problem.ts";
import { wantsHtml } from "./redirect.ts";

export interface PreviewOptions {
  readonly links: Pick<LinkManager, "get">;
  readonly clock: Clock;
  readonly baseUrl: () => string;
  readonly onBug: (error: unknown, requestId: string) => void;
}

export type Preview = (request: Request, code: string, requestId: string) => Promise<Response>;

export function createPreview({ links, clock, baseUrl, onBug }: PreviewOptions): Preview {
  return async (request, code, requestId) => {
    try {
      const link = await links.get(code);
      if (link.expiresAt !== null && link.expiresAt.getTime() <= clock()) {
        throw new AppError("LINK_GONE", `The link "${code}" has expired.`);
      }
      const { url: target, createdAt, expiresAt } = link;
      return previewPage({ shortUrl: `${baseUrl()}/${code}`, target, createdAt, expiresAt }, requestId);
    } catch (error) {
      if (!(error instanceof AppError)) onBug(error, requestId);
      return wantsHtml(request)
        ? problemPage(describeProblem(error), requestId)
        : problemResponse(error, requestId);
    }
  };
}
