// The implementations in memory keep every contract, so that tests may use them in place of the real ones.
import { describeContracts } from "./all-contracts.ts";
import { openMemoryStores } from "./memory-stores.ts";

describeContracts("memory", async () => openMemoryStores());
