// What every IdempotencyStore promises.
import { beforeEach, describe, expect, test } from "bun:test";
import { describeKey, generateKey } from "../../src/keys/key.ts";
import type { Link } from "../../src/links/link.ts";
import type { IdempotentCreate, IdempotentOutcome, LinkStore } from "../../src/links/ports.ts";
import { errorOf } from "../helpers/error-of.ts";
import { newLink, type OpenStores, type Stores } from "./stores.ts";

const HASH = new Uint8Array(32).fill(1);
const OTHER_HASH = new Uint8Array(32).fill(2);

type Create = (store: Pick<LinkStore, "insert">) => Promise<Link>;

const making =
  (code: string): Create =>
  async (store) => {
    const [link] = await store.insert([newLink(code, { title: "made", expiresAt: new Date(2e12) })]);
    if (link === undefined) throw new Error(`${code} is taken`);
    return link;
  };

const mustNotRun: Create = () => Promise.reject(new Error("the create ran again"));

function linkOf(outcome: IdempotentOutcome | undefined): Link {
  if (outcome === undefined || outcome.kind === "mismatch") throw new Error("there is no link");
  return outcome.link;
}

export function describeIdempotencyStore(name: string, open: OpenStores): void {
  describe(`idempotency keys in ${name}`, () => {
    let stores: Stores;
    let apiKeyId = 0;
    beforeEach(async () => {
      stores = await open();
      apiKeyId = await insertApiKey();
    });

    async function insertApiKey(): Promise<number> {
      const key = { name: "test", ...describeKey(generateKey()), scopes: ["links:write"] as const };
      return (await stores.keys.insert(key)).id;
    }

    function once(key: string, create: Create, rest: Partial<IdempotentCreate> = {}) {
      return stores.idempotency.once({ apiKeyId, key, requestHash: HASH, sinceMs: 0, ...rest }, create);
    }

    test("a repeated key answers the first link, as it was, without another create", async () => {
      const first = await once("k", making("first"));
      expect(first.kind).toBe("created");
      await stores.links.update("first", { title: "changed since" });
      expect(await once("k", mustNotRun)).toEqual({ kind: "replayed", link: linkOf(first) });
      expect(linkOf(first).title).toBe("made");
    });

    test("a key with another request is a mismatch and makes nothing", async () => {
      await once("k", making("first"));
      expect(await once("k", mustNotRun, { requestHash: OTHER_HASH })).toEqual({ kind: "mismatch" });
      expect((await once("k", mustNotRun)).kind).toBe("replayed");
    });

    test("two API keys and two keys do not meet", async () => {
      const other = await insertApiKey();
      await once("k", making("one"));
      expect((await once("k", making("two"), { apiKeyId: other })).kind).toBe("created");
      expect((await once("K", making("three"))).kind).toBe("created");
    });

    test("concurrent requests with one key make one link and share it", async () => {
      let creates = 0;
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          once("k", (store) => {
            creates++;
            return making(`c${index}`)(store);
          }),
        ),
      );
      expect(creates).toBe(1);
      expect(outcomes.filter((outcome) => outcome.kind === "created")).toHaveLength(1);
      expect(new Set(outcomes.map((outcome) => linkOf(outcome).code)).size).toBe(1);
    });

    test("of concurrent requests with one key and different bodies one wins and the others mismatch", async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          once("k", making(`d${index}`), { requestHash: new Uint8Array(32).fill(index) }),
        ),
      );
      expect(outcomes.map((outcome) => outcome.kind).toSorted()).toEqual([
        "created",
        ...Array.from({ length: 5 }, () => "mismatch" as const),
      ]);
    });

    test("a failed create leaves no trace: neither its link nor the key", async () => {
      const failing: Create = async (store) => {
        await making("half")(store);
        throw new Error("failed after the insert");
      };
      expect((await errorOf(once("k", failing))).message).toBe("failed after the insert");
      expect(await stores.links.find("half")).toBeUndefined();
      const retried = await once("k", making("half"), { requestHash: OTHER_HASH });
      expect(retried.kind).toBe("created");
    });

    test("when the first of many fails, the next one creates", async () => {
      let failures = 0;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 5 }, () =>
          once("k", async (store) => {
            if (failures++ === 0) throw new Error("the first fails");
            return making("second")(store);
          }),
        ),
      );
      const kinds = outcomes.map((outcome) =>
        outcome.status === "rejected" ? "failed" : outcome.value.kind,
      );
      expect(kinds.toSorted()).toEqual(["created", "failed", "replayed", "replayed", "replayed"]);
    });

    test("an outdated key counts as new, for one of many", async () => {
      await once("k", making("old"));
      const rest = { sinceMs: Date.now() + 60_000, requestHash: OTHER_HASH };
      const renewed = await once("k", making("new"), rest);
      expect([renewed.kind, linkOf(renewed).code]).toEqual(["created", "new"]);
      const replay = await once("k", mustNotRun, { requestHash: OTHER_HASH });
      expect([replay.kind, linkOf(replay).code]).toEqual(["replayed", "new"]);
    });
  });
}
