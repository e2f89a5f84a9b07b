// All ports in memory, wired to each other.
import { MemoryClickStore } from "./memory-clicks.ts";
import { MemoryKeyStore } from "./memory-keys.ts";
import { MemoryIdempotencyStore, MemoryLinkStore } from "./memory-links.ts";
import { MemorySaltStore } from "./memory-salts.ts";
import type { Stores } from "./stores.ts";

export function openMemoryStores(): Stores {
  const clicks = new MemoryClickStore();
  const links = new MemoryLinkStore((linkId) => clicks.totalOf(linkId));
  return {
    links,
    idempotency: new MemoryIdempotencyStore(links),
    clicks,
    reader: clicks,
    rollup: clicks,
    keys: new MemoryKeyStore(),
    salts: new MemorySaltStore(),
  };
}
