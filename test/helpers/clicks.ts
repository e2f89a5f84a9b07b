// Clicks for tests.
import { randomUUID } from "node:crypto";
import type { Click, Producer } from "../../src/clicks/click.ts";
import { contentId } from "../../src/clicks/visitor.ts";

const FACTS = {
  country: "DE",
  referrer: "news.example",
  browser: "Firefox",
  os: "Linux",
  device: "desktop",
  language: "de",
  bot: false,
};

/** A click of link 1 by visitor 1, at a fixed time. */
export function aClick(rest: Partial<Omit<Click, "profile"> & typeof FACTS> = {}): Click {
  const { linkId = 1, atMs = Date.parse("2030-01-31T12:00:00Z"), visitor = 1n, ...facts } = rest;
  const { country, referrer, language, browser, os, device, bot } = { ...FACTS, ...facts };
  const text = JSON.stringify([browser, os, device, bot]);
  const agent = { id: contentId(text), text, browser, os, device, bot, rules: "test" };
  const id = contentId(JSON.stringify([country, referrer, language]), String(agent.id));
  return { linkId, atMs, visitor, profile: { id, country, referrer, language, agent } };
}

/** A producer of its own. */
export function aProducer(rest: Partial<Producer> = {}): Producer {
  return { id: randomUUID(), recorder: "batch", ack: "durable", ...rest };
}
