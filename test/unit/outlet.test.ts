// Bytes that a socket does not take at once arrive all the same, in order, and before its end.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Outlet } from "../../src/http/outlet.ts";

test("whatever a socket takes at a time, it gets every byte in order, and ends after the last one", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 20 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 10 }), fc.array(fc.nat(8), { maxLength: 40 }), (texts, rooms) => {
      let [received, ended, turn] = ["", false, 0];
      const outlet = new Outlet({
        write: (data) => {
          expect(ended).toBe(false);
          const room = Math.min(data.length, rooms[turn++] ?? data.length);
          received += Buffer.from(data.slice(0, room)).toString();
          return room;
        },
        end: () => {
          ended = true;
        },
      });
      for (const [index, part] of texts.entries()) {
        const all = outlet.write(index % 2 === 0 ? part : Buffer.from(part));
        expect(all).toBe(outlet.empty);
        if (index % 3 === 0) outlet.drained();
      }
      outlet.end();
      while (!outlet.empty) outlet.drained();
      expect(received).toBe(texts.join(""));
      expect(ended).toBe(true);
    }),
  );
});
