// What every LinkStore promises.
import { beforeEach, describe, expect, test } from "bun:test";
import type { Link } from "../../src/links/link.ts";
import type { LinkQuery, LinkStore } from "../../src/links/ports.ts";
import { newLink, ODD_TEXTS, type OpenStores, type Stores } from "./stores.ts";

const ALL: LinkQuery = { limit: 100, beforeId: undefined, text: undefined, tag: undefined };
const codesOf = (links: readonly (Link | undefined)[]) => links.map((link) => link?.code);

export function describeLinkStore(name: string, open: OpenStores): void {
  describe(`links in ${name}`, () => {
    let stores: Stores;
    let links: LinkStore;
    beforeEach(async () => {
      stores = await open();
      ({ links } = stores);
    });

    /** Codes found, newest first. */
    async function listed(query: Partial<LinkQuery>): Promise<unknown[]> {
      return codesOf(await links.list({ ...ALL, ...query }));
    }

    test("a new link is answered whole and found as answered", async () => {
      const request = newLink("whole", {
        title: "A title",
        tags: ["b", "a"],
        status: 308,
        expiresAt: new Date("2031-02-03T04:05:06.789Z"),
      });
      const [made] = await links.insert([request]);
      const { chosen: _chosen, ...asked } = request;
      expect(made).toMatchObject({ ...asked, deletedAt: null, clicks: 0 });
      expect(made?.id).toBeGreaterThan(0);
      expect(made?.createdAt).toBeInstanceOf(Date);
      expect(made?.updatedAt).toEqual(made?.createdAt ?? new Date(0));
      expect(await links.find("whole")).toEqual(made);
    });

    test("answers come in the order of the request, undefined where the code is taken", async () => {
      await links.insert([newLink("taken")]);
      const answers = await links.insert(["z", "taken", "a", "m"].map((code) => newLink(code)));
      expect(codesOf(answers)).toEqual(["z", undefined, "a", "m"]);
      expect((await links.find("taken"))?.url).toBe("https://example.com/taken");
    });

    test("a code that is twice in a call belongs to the first", async () => {
      const answers = await links.insert([
        newLink("twice", { url: "https://example.com/first" }),
        newLink("twice", { url: "https://example.com/second" }),
      ]);
      expect(answers.map((link) => link?.url)).toEqual(["https://example.com/first", undefined]);
      expect((await links.find("twice"))?.url).toBe("https://example.com/first");
    });

    test("of many at once exactly one gets a code", async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          links.insert([newLink("wanted", { url: `https://example.com/${index}` }), newLink(`own${index}`)]),
        ),
      );
      const winners = answers.filter(([link]) => link !== undefined);
      expect(winners).toHaveLength(1);
      expect(await links.find("wanted")).toEqual(winners[0]?.[0]);
      expect(answers.every(([, own]) => own !== undefined)).toBe(true);
    });

    test("codes that differ in case alone are different links", async () => {
      expect(codesOf(await links.insert([newLink("Case"), newLink("case")]))).toEqual(["Case", "case"]);
    });

    test("the code of a deleted link stays taken", async () => {
      await links.insert([newLink("gone")]);
      await links.delete("gone");
      expect(await links.insert([newLink("gone")])).toEqual([undefined]);
    });

    test("no links to insert and no codes to find are answered with nothing", async () => {
      expect(await links.insert([])).toEqual([]);
      expect(await links.findRoutes([])).toEqual([]);
    });

    test("titles and tags of any text arrive intact", async () => {
      const made = await links.insert(
        ODD_TEXTS.map((text, index) => newLink(`odd${index}`, { title: text, tags: [text, `${text}2`] })),
      );
      expect(made.map((link) => [link?.title, ...(link?.tags ?? [])])).toEqual(
        ODD_TEXTS.map((text) => [text, text, `${text}2`]),
      );
      await links.insert([newLink("target")]);
      for (const text of ODD_TEXTS) {
        const changed = await links.update("target", { title: text, tags: [text] });
        expect([changed?.title, changed?.tags]).toEqual([text, [text]]);
        expect(await links.find("target")).toEqual(changed as Link);
      }
    });

    test("routes come in the order of the codes, undefined where there is none", async () => {
      const [a, b] = await links.insert([newLink("a", { status: 301 }), newLink("b")]);
      const routes = await links.findRoutes(["b", "none", "a", "b"]);
      expect(routes.map((route) => route?.linkId)).toEqual([b?.id, undefined, a?.id, b?.id]);
      expect(routes[2]).toEqual({
        linkId: a?.id ?? 0,
        version: expect.any(Number) as number,
        target: "https://example.com/a",
        status: 301,
        expiresAtMs: Number.POSITIVE_INFINITY,
        deleted: false,
      });
    });

    test("the version of a code grows with every change of its link", async () => {
      const versions: number[] = [];
      const note = async () => versions.push((await links.findRoutes(["changing"]))[0]?.version ?? 0);
      await links.insert([newLink("changing")]);
      await note();
      for (const title of ["one", "two"]) {
        await links.update("changing", { title });
        await note();
      }
      await links.delete("changing");
      await note();
      expect(versions).toHaveLength(new Set(versions).size);
      expect(versions).toEqual(versions.toSorted((a, b) => a - b));
      expect(versions[0]).toBeGreaterThan(0);
    });

    test("whatever is asked for as a code is not found rather than an error", async () => {
      expect(await links.findRoutes(ODD_TEXTS)).toEqual(ODD_TEXTS.map(() => undefined));
    });

    test("deleted and expired links have routes that say so", async () => {
      const expiresAt = new Date("2020-01-01T00:00:00.123Z");
      await links.insert([newLink("deleted"), newLink("expired", { expiresAt })]);
      await links.delete("deleted");
      const [deleted, expired] = await links.findRoutes(["deleted", "expired"]);
      expect(deleted?.deleted).toBe(true);
      expect(expired).toMatchObject({ deleted: false, expiresAtMs: expiresAt.getTime() });
    });

    test("a list is newest first, ends at its limit and goes on before an id", async () => {
      const made = await links.insert(["one", "two", "three", "four"].map((code) => newLink(code)));
      const newestFirst = made.toSorted((a, b) => (b?.id ?? 0) - (a?.id ?? 0));
      const page = await links.list({ ...ALL, limit: 3 });
      expect(codesOf(page)).toEqual(codesOf(newestFirst.slice(0, 3)));
      expect(await listed({ beforeId: page[2]?.id })).toEqual(codesOf(newestFirst.slice(3)));
    });

    test("deleted links are not listed, expired ones are", async () => {
      await links.insert([newLink("deleted"), newLink("expired", { expiresAt: new Date(0) })]);
      await links.delete("deleted");
      expect(await listed({})).toEqual(["expired"]);
    });

    test("a search finds text in code, title and target, in any case", async () => {
      await links.insert([newLink("Spring-Sale")]);
      await links.insert([newLink("b", { title: "The SPRING catalogue" })]);
      await links.insert([newLink("c", { url: "https://example.com/sPrInG?x" })]);
      await links.insert([newLink("d")]);
      expect(await listed({ text: "spring" })).toEqual(["c", "b", "Spring-Sale"]);
      expect(await listed({ text: "CATALOGUE" })).toEqual(["b"]);
      expect(await listed({ text: "winter" })).toEqual([]);
    });

    test.each(["%", "_", "\\", "%25", "a_c", "100%", "\\%", "'", '"'])(
      "a search takes %j as it is, not as a pattern",
      async (text) => {
        await links.insert([newLink("with", { title: `before ${text} after` })]);
        await links.insert([
          newLink("without", { title: "before abc 100 after", url: "https://e.example/" }),
        ]);
        expect(await listed({ text })).toEqual(["with"]);
      },
    );

    test("a tag is found as a whole and in its own case", async () => {
      await links.insert([newLink("a", { tags: ["red", "big"] }), newLink("b", { tags: ["Red", "redder"] })]);
      expect(await listed({ tag: "red" })).toEqual(["a"]);
      expect(await listed({ tag: "re" })).toEqual([]);
      expect(await listed({ tag: "big", text: "b" })).toEqual([]);
    });

    test("tags of any text are found by it", async () => {
      await links.insert(ODD_TEXTS.map((tag, index) => newLink(`odd${index}`, { tags: [tag] })));
      for (const [index, tag] of ODD_TEXTS.entries()) expect(await listed({ tag })).toEqual([`odd${index}`]);
    });

    test("a change sets what it names and leaves the rest", async () => {
      const rest = { title: "old", tags: ["old"], status: 307, expiresAt: new Date(2e12) } as const;
      const [made] = await links.insert([newLink("change", rest)]);
      const changed = await links.update("change", { url: "https://example.com/new" });
      expect(changed).toEqual({
        ...(made as Link),
        url: "https://example.com/new",
        updatedAt: changed?.updatedAt ?? new Date(0),
      });
      expect(changed?.updatedAt.getTime()).toBeGreaterThanOrEqual(made?.updatedAt.getTime() ?? Infinity);
      const all = { url: "https://b.example/", title: "new", tags: ["x", "y"], status: 301 } as const;
      expect(await links.update("change", all)).toMatchObject({ ...all, expiresAt: rest.expiresAt });
      expect(await links.find("change")).toMatchObject({ ...all, expiresAt: rest.expiresAt });
    });

    test("null and an empty list clear, an empty change keeps everything", async () => {
      const full = { title: "old", tags: ["old"], expiresAt: new Date(2e12) };
      await links.insert([newLink("clear", full)]);
      expect(await links.update("clear", {})).toMatchObject(full);
      const cleared = { title: null, tags: [], expiresAt: null };
      expect(await links.update("clear", cleared)).toMatchObject(cleared);
      expect(await links.find("clear")).toMatchObject(cleared);
    });

    test("an unknown or deleted link cannot be changed", async () => {
      await links.insert([newLink("gone")]);
      await links.delete("gone");
      expect(await links.update("gone", { title: "back" })).toBeUndefined();
      expect(await links.update("never", { title: "made" })).toBeUndefined();
      expect((await links.find("gone"))?.title).toBeNull();
      expect(await links.find("never")).toBeUndefined();
    });

    test("a deleted link is still found, and deleted once", async () => {
      await links.insert([newLink("gone"), newLink("stays")]);
      const deletions = await Promise.all(Array.from({ length: 5 }, () => links.delete("gone")));
      expect(deletions.filter(Boolean)).toHaveLength(1);
      expect((await links.find("gone"))?.deletedAt).toBeInstanceOf(Date);
      expect((await links.find("stays"))?.deletedAt).toBeNull();
      expect(await links.delete("never")).toBe(false);
    });
  });
}
