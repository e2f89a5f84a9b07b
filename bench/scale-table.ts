// What the page says of two processes and of many links.
import { figure, manyOfFew, ratio, type Results } from "./figures.ts";
import { maybe, ms, percent, table, whole, withRange } from "./markdown.ts";

export const SCALE_METHOD = `Many links: two hops with the default settings, one with 1,000 links and one with 1,000,000, are asked in turn, in five rounds,
by Zipf's law (exponent 1) over all their links; each round draws anew. Before that the most popular 400,000 are asked for once,
less than \`HOP_CACHE_TTL_MS\` ago; their clicks wait for their dimensions until afterwards, which would come into some rounds otherwise.
The million is put into the table by SQL, and the index of the search is left out. wrk itself is slower with more
different requests, which the ratio counts against hop.`;

export function scaleTable({ samples, scale }: Results): string[] {
  const processes = ratio(samples, "batch-2", "batch");
  const twice =
    processes === undefined
      ? []
      : [
          `Two processes do ${withRange(processes, (part) => part.toFixed(2))} of the redirects a second of one, on these cores, which wrk and Postgres share.`,
          "",
        ];
  if (scale === undefined) return twice;
  const { few, many, cached } = scale;
  return [
    ...twice,
    ...table(
      [
        "links",
        "redirects a second: median (range)",
        "of those with 1,000 links",
        "p99",
        "cache hits",
        "memory",
      ],
      [few, many].map((size) => [
        whole(size.links),
        withRange(figure(size.perSecond), whole),
        size === few ? "–" : withRange(manyOfFew(scale), (part) => part.toFixed(2)),
        withRange(figure(size.p99Ms), ms),
        percent(size.hitRatio),
        maybe(size.residentBytes, megabytes),
      ]),
    ),
    `A process with ${whole(cached.links)} links in its cache and room for no more: ${maybe(cached.residentBytes, megabytes)}.`,
    "",
  ];
}

function megabytes(bytes: number): string {
  return `${whole(bytes / 1e6)} MB`;
}
