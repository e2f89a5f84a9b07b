// A hop whose worker confirms entries of the stream before they are stored: a judge of lost clicks has to find it out.
import { RedisStreamReader } from "../../src/storage/redis/stream-reader.ts";

for (const method of ["read", "readMore"] as const) {
  const honest = RedisStreamReader.prototype[method];
  RedisStreamReader.prototype[method] = async function (this: RedisStreamReader) {
    const entries = await honest.call(this);
    await this.confirm(entries);
    return entries;
  };
}
await import("../../src/main.ts");
