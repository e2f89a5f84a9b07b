// What the page says of storing and of statistics, when they were measured.
import type { Results } from "./figures.ts";
import { maybe, ms, table, whole } from "./markdown.ts";

export function storingTable({ storing }: Results): string[] {
  if (storing === undefined) return [];
  const { clicks, bytesPerClick, storedPerSecond, rowsPerSecond, copiedPerSecond, peakBytes } = storing;
  const ofCopy = (rate: number) => (rate / copiedPerSecond).toFixed(2);
  return table(
    [`one \`hop work\`, a backlog of ${whole(clicks)} clicks`, "clicks a second", "of COPY"],
    [
      ["out of the stream and durable", whole(storedPerSecond), ofCopy(storedPerSecond)],
      ["rows, and in the totals", whole(rowsPerSecond), ofCopy(rowsPerSecond)],
      ["the same rows by COPY, nothing else", whole(copiedPerSecond), "1.00"],
      ["memory of the worker at its peak", maybe(peakBytes, (bytes) => `${whole(bytes / 1e6)} MB`), ""],
      ["memory of Redis a click", `${whole(bytesPerClick)} bytes`, ""],
    ],
  );
}

export function statisticsTable({ statistics }: Results): string[] {
  if (statistics === undefined) return [];
  return table(
    ["`GET /api/v1/links/:code/stats`", "clicks of that link", "p50", "p99", "filled in"],
    [statistics.few, statistics.many].map(({ clicks, linkClicks, p50Ms, p99Ms, fillSeconds }) => [
      `among ${whole(clicks)} clicks`,
      whole(linkClicks),
      ms(p50Ms),
      ms(p99Ms),
      `${whole(fillSeconds)} s`,
    ]),
  );
}
