// Damage to the spool's files costs what it hit, is counted, and never stops the rest.
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { drain, recordOf, SpoolStage, upTo } from "../helpers/spool-records.ts";

describe("damage", () => {
  test("a segment torn at any byte loses only what is not whole, and the next segment is read", async () => {
    await using stage = new SpoolStage();
    const { path, bytes, next, ends } = await twoSegments(stage);
    const nextBytes = readFileSync(next);
    for (let length = 0; length < bytes.length; length++) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes.subarray(0, length));
      writeFileSync(next, nextBytes);
      stage.damage.length = 0;
      const whole = ends.filter((end) => end <= length).length;
      expect(await adoptAll(stage)).toEqual([...EVEN.slice(0, whole), ...EVEN.slice(ends.length)]);
      const torn = length - (ends[whole - 1] ?? (length < 8 ? 0 : 8));
      expect(stage.damage.map(({ reason, bytes }) => [reason, bytes])).toEqual(
        torn === 0 ? [] : [["torn", torn]],
      );
    }
  });

  test("a flipped bit anywhere is noticed, counted, and costs no record before it or in the next segment", async () => {
    await using stage = new SpoolStage();
    const { path, bytes, next, ends } = await twoSegments(stage);
    const nextBytes = readFileSync(next);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, flipped);
      writeFileSync(next, nextBytes);
      stage.damage.length = 0;
      const hit = ends.filter((end) => end <= at).length;
      const start = ends[hit - 1] ?? 8;
      const numbers = await adoptAll(stage);
      if (at < 8) expect(numbers).toEqual(EVEN.slice(ends.length));
      // In a payload or its checksum it costs that record alone.
      else if (at >= start + 4) expect(numbers).toEqual(EVEN.toSpliced(hit, 1));
      else expect(numbers).toEqual([...EVEN.slice(0, hit), ...numbers.slice(hit)]);
      expect(numbers).toEqual(expect.arrayContaining(EVEN.slice(ends.length)));
      expect(numbers).not.toContain(at < 8 ? EVEN[0] : EVEN[hit]);
      expect(stage.damage.reduce((sum, { records }) => sum + records, 0)).toBeGreaterThan(0);
    }
  });

  test("garbage and zeros in place of a segment are skipped and counted", async () => {
    await using stage = new SpoolStage();
    const { path, bytes, ends } = await twoSegments(stage);
    writeFileSync(path, Buffer.concat([bytes.subarray(0, 8), Buffer.alloc(500)]));
    const spool = stage.open();
    await spool.adopt();
    expect(await drain(spool)).toEqual(EVEN.slice(ends.length));
    expect(stage.damage.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(500);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "whatever somebody left here");
    await spool.adopt();
    expect(await drain(spool)).toEqual([]);
    expect(stage.damage.at(-1)).toMatchObject({ reason: "foreign", bytes: 27 });
    expect(readdirSync(stage.directory)).toEqual([]);
  });

  test("a segment that was deleted underneath is skipped", async () => {
    await using stage = new SpoolStage();
    const { path, ends } = await twoSegments(stage);
    const spool = stage.open();
    await spool.adopt();
    rmSync(path);
    expect(await drain(spool)).toEqual(EVEN.slice(ends.length));
    expect(stage.damage).toMatchObject([{ reason: "unreadable", path }]);
  });
});

/** What two segments hold. */
const EVEN = upTo(10).map((number) => number * 2);

/** Two segments of a process that is gone; `ends` says where the records of the first end. */
async function twoSegments(stage: SpoolStage) {
  const dead = stage.open(1_000);
  for (const number of EVEN) await dead.append(recordOf(number));
  await dead.close();
  const [path, next, ...more] = stage.files();
  if (path === undefined || next === undefined || more.length > 0) throw new Error("there are two segments");
  const bytes = readFileSync(path);
  const ends: number[] = [];
  for (let end = 8; end < bytes.length; ends.push(end)) end += 8 + bytes.readUInt32LE(end);
  return { path, bytes, next, ends };
}

async function adoptAll(stage: SpoolStage): Promise<number[]> {
  const spool = stage.open();
  await spool.adopt();
  return await drain(spool);
}
