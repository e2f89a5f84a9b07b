// Batches of clicks for tests: a fixed one, and arbitrary ones for properties.
import * as fc from "fast-check";
import type { Agent, ClickBatch, Profile } from "../../src/clicks/click.ts";

const firefox: Agent = {
  id: -8146273819283746152n,
  text: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  browser: "Firefox",
  os: "Linux",
  device: "desktop",
  bot: false,
  rules: "bowser 2.15.0",
};
const curl: Agent = {
  id: 42n,
  text: "Mozilla/5.0 (X11; Linux x86_64) \u00dcbercurl/8.9 \u{1f600} Firefox/140.0",
  browser: "Unknown",
  os: "Linux",
  device: "bot",
  bot: true,
  rules: "bowser 2.15.0",
};
const fromNews: Profile = {
  id: 9223372036854775807n,
  country: "DE",
  referrer: "news.example",
  language: "de",
  agent: firefox,
};
const direct: Profile = {
  id: -9223372036854775808n,
  country: "ZZ",
  referrer: "",
  language: "",
  agent: curl,
};

/** Three clicks of two profiles; the second profile's agent shares text with the first's. */
export const FIXED_BATCH: ClickBatch = {
  producer: { id: "0f7e1b9c-5a1d-4c7e-9b1a-3d2c4e5f6a7b", recorder: "stream", ack: "async" },
  seq: 300,
  clicks: [
    { linkId: 1, atMs: Date.parse("2030-01-31T12:00:00Z"), visitor: -1n, profile: fromNews },
    {
      linkId: 100_000,
      atMs: Date.parse("2030-01-31T11:59:59.999Z"),
      visitor: 2n ** 63n - 1n,
      profile: direct,
    },
    { linkId: 2 ** 40, atMs: Date.parse("2030-01-31T12:00:01Z"), visitor: 0n, profile: fromNews },
  ],
};

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
// Some texts of one alphabet, so that they share beginnings and ends.
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom("a", "b", "\u00e9", "\u{1f600}"), maxLength: 12 }),
);
const agent: fc.Arbitrary<Agent> = fc.record({
  id: int64,
  text,
  browser: text,
  os: fc.constantFrom("", "Linux", "iOS"),
  device: text,
  bot: fc.boolean(),
  rules: text,
});

const clicks = fc
  .array(agent, { minLength: 1, maxLength: 5 })
  .chain((agents) =>
    fc.array(
      fc.record({
        id: int64,
        country: text,
        referrer: text,
        language: text,
        agent: fc.constantFrom(...agents),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  )
  .chain((profiles) =>
    fc.array(
      fc.record({
        linkId: fc.maxSafeNat(),
        atMs: fc.integer({ min: 0, max: Date.UTC(9999, 0) - 1 }),
        visitor: int64,
        profile: fc.constantFrom(...profiles),
      }),
      { maxLength: 20 },
    ),
  );

/** Any batch that a process could make, and many that none would. */
export const anyBatch: fc.Arbitrary<ClickBatch> = fc.record({
  producer: fc.record({
    id: fc.uuid(),
    recorder: fc.constantFrom("inline", "batch", "stream"),
    ack: fc.constantFrom("durable", "async"),
  }),
  seq: fc.maxSafeNat(),
  clicks,
});
