// The spool's promise: what was appended is read, in order, by this process or the next, whatever happened to either.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { drain, numberOf, recordOf, SpoolStage, upTo } from "../helpers/spool-records.ts";

const append = async (spool: ReturnType<SpoolStage["open"]>, numbers: readonly number[]) =>
  await Promise.all(numbers.map((number) => spool.append(recordOf(number))));

describe("a spool", () => {
  test("gives back what was appended, oldest first, and is empty afterwards", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open();
    expect(spool.waitingBytes).toBe(0);
    const appended = append(spool, upTo(1_000));
    expect(spool.waitingBytes).toBeGreaterThan(0);
    expect(new Set(await appended)).toEqual(new Set(["spooled"]));
    expect(spool.waitingBytes).toBeGreaterThan(0);
    expect(await drain(spool)).toEqual(upTo(1_000));
    expect(spool.waitingBytes).toBe(0);
    expect([stage.files(), spool.bytes]).toEqual([[], 0]);
  });

  test("gives the same records until they are removed", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open();
    await append(spool, upTo(3));
    const [first] = await spool.read();
    expect((await spool.read()).map(({ payload }) => numberOf(payload))).toEqual([1, 2, 3]);
    if (first === undefined) throw new Error("it is there");
    await spool.remove([first]);
    expect(await drain(spool)).toEqual([2, 3]);
  });

  test("reads a bounded piece, and a record that is larger whole", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open();
    const large = new Uint8Array(1_000_000).fill(7);
    for (let count = 0; count < 20; count++) await spool.append(new Uint8Array(50_000));
    await spool.append(large);
    let pieces = 0;
    for (let records = await spool.read(); records.length > 0; records = await spool.read()) {
      const bytes = records.reduce((sum, { payload }) => sum + payload.length, 0);
      if (bytes === large.length) expect(Buffer.from(large).equals(records[0]?.payload ?? large)).toBe(true);
      else expect(bytes).toBeLessThanOrEqual(256 * 1_024);
      pieces++;
      await spool.remove(records);
    }
    expect(pieces).toBe(5);
  });

  test("takes no more than its bound, files included, and says so before it writes", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open(20_000);
    const outcomes = await append(spool, upTo(400));
    const kept = outcomes.filter((outcome) => outcome === "spooled").length;
    expect(new Set(outcomes)).toEqual(new Set(["spooled", "spool_full"]));
    expect(spool.hasRoom(300)).toBe(false);
    expect(stage.segmentBytes).toBeLessThanOrEqual(20_000 + 8);
    expect(stage.segmentBytes).toBeGreaterThan(19_000);
    expect(await drain(spool)).toHaveLength(kept);
    expect(await append(spool, [1])).toEqual(["spooled"]);
  });

  test("gives disk space back while it is shipped, in steps of an eighth", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open(80_000);
    for (const number of upTo(400)) await spool.append(recordOf(number));
    const segments = stage.files().length;
    expect(segments).toBeGreaterThan(4);
    await spool.remove(await spool.read());
    expect(stage.files()).toHaveLength(segments - 1);
  });

  test("appends of one turn share a sync, and those that arrive meanwhile share the next", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open();
    const first = upTo(1_000).map((number) => spool.append(recordOf(number)));
    await Promise.resolve();
    const next = upTo(1_000).map((number) => spool.append(recordOf(number)));
    const settled = () => new Set([...first, ...next].map((append) => Bun.peek.status(append)));
    await first[0];
    await Promise.resolve();
    expect(new Set(first.map((append) => Bun.peek.status(append)))).toEqual(new Set(["fulfilled"]));
    expect(settled()).toEqual(new Set(["fulfilled", "pending"]));
    await next[0];
    await Promise.resolve();
    expect(settled()).toEqual(new Set(["fulfilled"]));
  });

  test("closed leaves what was not shipped, and nothing if all was", async () => {
    await using stage = new SpoolStage();
    const [left, done] = [stage.open(), stage.open()];
    await append(left, upTo(5));
    await append(done, upTo(5));
    await drain(done);
    await left.close();
    await done.close();
    expect(readdirSync(stage.directory)).toHaveLength(1);
    expect(await left.append(recordOf(6))).toBe("spool_failed");
    const next = stage.open();
    await next.adopt();
    expect(await drain(next)).toEqual(upTo(5));
  });

  test("sets a record aside in a file of its own and goes on with the next", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open();
    await append(spool, upTo(3));
    const [bad] = await spool.read();
    if (bad === undefined) throw new Error("it is there");
    await spool.setAside(bad);
    expect(await drain(spool)).toEqual([2, 3]);
    const kept = stage.files(".bad");
    expect(kept.map((path) => numberOf(readFileSync(path)))).toEqual([1]);
  });
});

describe("a spool on a disk that refuses", () => {
  test("says so for every append, without an exception, and works again afterwards", async () => {
    await using stage = new SpoolStage();
    // A file where the directory should be: unlike permissions, that stops root too.
    writeFileSync(stage.directory, "");
    const spool = stage.open();
    expect(await append(spool, upTo(3))).toEqual(["spool_failed", "spool_failed", "spool_failed"]);
    expect(stage.errors).toHaveLength(1);
    expect(spool.waitingBytes).toBe(0);
    rmSync(stage.directory);
    expect(await append(spool, [4])).toEqual(["spooled"]);
    expect(await drain(spool)).toEqual([4]);
  });

  test("makes another directory when its own was deleted", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open(2_000);
    await append(spool, upTo(3));
    await drain(spool);
    rmSync(stage.directory, { recursive: true });
    expect(await append(spool, [4])).toEqual(["spool_failed"]);
    expect(await append(spool, [5])).toEqual(["spooled"]);
    expect(await drain(spool)).toEqual([5]);
  });

  test("that is full fails the append and keeps what was there before", async () => {
    await using stage = new SpoolStage();
    const spool = stage.open();
    await append(spool, upTo(3));
    // The kernel refuses to let a file grow past this, as it refuses on a full disk.
    const limited = Bun.spawn(
      ["bash", "-c", `trap "" XFSZ; ulimit -f 1; exec "$0" "$1" "$2" 100000000`].concat([
        process.execPath,
        join(import.meta.dir, "../helpers/spool-writer.ts"),
        stage.directory,
      ]),
      { stdio: ["pipe", "pipe", "ignore"] },
    );
    let said = "";
    for await (const text of limited.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (said.endsWith("full\n")) break;
    }
    limited.kill("SIGKILL");
    await limited.exited;
    const promised = said
      .split("\n")
      .filter((line) => /^\d+$/.test(line))
      .map(Number);
    expect(promised.length).toBeGreaterThan(0);
    await spool.adopt();
    const found = await drain(spool);
    expect(found).toEqual(expect.arrayContaining([...promised, ...upTo(3)]));
    expect(stage.damage).toEqual([]);
    await spool.close();
    expect(readdirSync(stage.directory)).toEqual([]);
  });
});

describe("adopting", () => {
  test("takes what a killed process was promised, every record of it", async () => {
    await using stage = new SpoolStage();
    const writer = Bun.spawn(
      [process.execPath, join(import.meta.dir, "../helpers/spool-writer.ts"), stage.directory, "100000000"],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    const living = stage.open();
    let said = "";
    for await (const text of writer.stdout.pipeThrough(new TextDecoderStream())) {
      if (said === "") {
        await living.adopt();
        // It lives: its files are not ours to take.
        expect(await living.read()).toEqual([]);
      }
      said += text;
      if (said.length > 2_000) writer.kill("SIGKILL");
    }
    await writer.exited;
    const promised = said.slice(0, said.lastIndexOf("\n")).split("\n").map(Number);
    expect(promised.length).toBeGreaterThan(100);
    await living.adopt();
    const found = await drain(living);
    expect(found).toEqual(found.toSorted((one, other) => one - other));
    expect(new Set(found).isSupersetOf(new Set(promised))).toBe(true);
    // It was killed in the middle of a write, or between two: at most that one write is torn.
    expect(stage.damage.length).toBeLessThanOrEqual(1);
    expect(readdirSync(stage.directory)).toEqual([]);
  });

  test("takes nothing from the living in the same process, and each dead one once", async () => {
    await using stage = new SpoolStage();
    const [living, first, second] = [stage.open(), stage.open(), stage.open()];
    await append(living, [1]);
    await first.adopt();
    expect(await drain(first)).toEqual([]);
    await living.close();
    await Promise.all([first.adopt(), second.adopt()]);
    expect([...(await drain(first)), ...(await drain(second))]).toEqual([1]);
  });

  test("at the moment when others begin costs them nothing", async () => {
    await using stage = new SpoolStage();
    const spools = upTo(30).map(() => stage.open());
    const adopter = stage.open();
    const appends = spools.map((spool, index) => spool.append(recordOf(index)));
    for (let done = false; !done; done = appends.every((append) => Bun.peek.status(append) !== "pending")) {
      await adopter.adopt();
    }
    expect(new Set(await Promise.all(appends))).toEqual(new Set(["spooled"]));
    expect(await drain(adopter)).toEqual([]);
    for (const [index, spool] of spools.entries()) expect(await drain(spool)).toEqual([index]);
  });

  test("reads the longest dead first, then its own", async () => {
    await using stage = new SpoolStage();
    for (const number of [1, 2]) {
      const dead = stage.open();
      await append(dead, [number]);
      await dead.close();
    }
    const spool = stage.open();
    await append(spool, [3]);
    await spool.adopt();
    expect(await drain(spool)).toEqual([1, 2, 3]);
  });

  test("counts what it adopts against its bound", async () => {
    await using stage = new SpoolStage();
    const dead = stage.open();
    await append(dead, upTo(50));
    await dead.close();
    const spool = stage.open(1_900);
    await spool.adopt();
    expect(await append(spool, [51])).toEqual(["spool_full"]);
    expect(await drain(spool)).toEqual(upTo(50));
    expect(await append(spool, [51])).toEqual(["spooled"]);
  });

  test("without a spool directory finds nothing and makes none", async () => {
    await using stage = new SpoolStage();
    await stage.open().adopt();
    expect(() => readdirSync(stage.directory)).toThrow("ENOENT");
  });
});
