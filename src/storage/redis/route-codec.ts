// How a copy of a route is written in Redis. Another way of writing takes another FORMAT, so that versions of hop can run side by side.
import { LINK_STATUSES, type Route } from "../../links/link.ts";
import type { Recalled, RouteCopy, RouteFence } from "../../links/ports.ts";

/** A part of every key. */
export const FORMAT = 1;

/** "f7 0", "u7 1700000000000", "r7 1700000000000 42 302 Infinity live https://example.com/": kind and version, birth, link. */
export function encodeNews(news: RouteCopy | RouteFence): string {
  if (!("bornMs" in news)) return `f${news.version} 0`;
  const { route, version, bornMs } = news;
  if (route === undefined) return `u${version} ${bornMs}`;
  const { linkId, status, expiresAtMs, deleted, target } = route;
  return `r${version} ${bornMs} ${linkId} ${status} ${expiresAtMs} ${deleted ? "deleted" : "live"} ${target}`;
}

const ANSWER = /^([mbur])(\d+)(?: (\d+)(?: (\d+) (\d+) (\S+) (live|deleted) ([\s\S]+))?)?$/;

/** An answer of the recall script. @throws Error when it was not written by `encodeNews` */
export function decodeRecalled(text: string, nowMs: number): Recalled {
  const [, kind, version, born, linkId, status, expires, state, target] = ANSWER.exec(text) ?? [];
  const known = { version: Number(version), asOfMs: nowMs };
  if (kind === "m" || kind === "b") return { ...known, kind: kind === "m" ? "mine" : "busy" };
  // A clock that was set back must not make a copy younger than new.
  const copy = { ...known, kind: "copy", ageMs: Math.max(0, nowMs - Number(born)) } as const;
  if (kind === "u" && born !== undefined) return { ...copy, route: undefined };
  const linkStatus = LINK_STATUSES.find((each) => String(each) === status);
  const expiresAtMs = Number(expires);
  if (kind !== "r" || target === undefined || linkStatus === undefined || Number.isNaN(expiresAtMs)) {
    throw new Error("a copy of a link in Redis cannot be read");
  }
  const route: Route = {
    linkId: Number(linkId),
    version: known.version,
    target,
    status: linkStatus,
    expiresAtMs,
    deleted: state === "deleted",
  };
  return { ...copy, route };
}
