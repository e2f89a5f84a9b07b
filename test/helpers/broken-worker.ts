// A hop whose worker confirms entries of the stream before they are stored: a judge of lost clicks has to find it out.
import { RedisStreamReader } from "../../src/storage/redis/stream-reader.ts";

/** How long it has confirmed what it has not stored. Without it 1 of 71 kills met such a moment: storing takes milliseconds. */
const HOLD_MS = 200;

for (const method of ["read", "readMore"] as const) {
  const honest = RedisStreamReader.prototype[method];
  RedisStreamReader.prototype[method] = async function (this: RedisStreamReader) {
    const entries = await honest.call(this);
    if (entries.length === 0) return entries;
    await this.confirm(entries);
    await Bun.sleep(HOLD_MS);
    return entries;
  };
}
await import("../../src/main.ts");
