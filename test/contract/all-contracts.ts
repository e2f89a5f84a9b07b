// Every contract, for one set of implementations.
import { describeClickStore } from "./clicks-contract.ts";
import { describeLedger } from "./ledger-contract.ts";
import { describeIdempotencyStore } from "./idempotency-contract.ts";
import { describeKeyStore } from "./keys-contract.ts";
import { describeLinkStore } from "./links-contract.ts";
import { describeRollup } from "./rollup-contract.ts";
import { describeSaltStore } from "./salts-contract.ts";
import type { OpenStores } from "./stores.ts";

export function describeContracts(name: string, open: OpenStores): void {
  describeLinkStore(name, open);
  describeIdempotencyStore(name, open);
  describeClickStore(name, open);
  describeLedger(name, open);
  describeRollup(name, open);
  describeKeyStore(name, open);
  describeSaltStore(name, open);
}
