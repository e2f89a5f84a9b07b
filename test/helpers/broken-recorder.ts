// A hop that gives a batch a new number each time it is sent: a judge of doubled clicks has to find it out.
import type { ClickBatch } from "../../src/clicks/click.ts";
import { RedisClickStream } from "../../src/storage/redis/click-stream.ts";

const METHOD = "storeBatches";
const honest = RedisClickStream.prototype[METHOD];
let sent = 0;
RedisClickStream.prototype[METHOD] = function (this: RedisClickStream, batches: readonly ClickBatch[]) {
  return honest.call(
    this,
    batches.map((batch) => ({ ...batch, seq: ++sent })),
  );
};
await import("../../src/main.ts");
