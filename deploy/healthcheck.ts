// Does the hop in this container do its work? Exit code 0 or 1, for HEALTHCHECK: the image has no other HTTP client than Bun.
// /readyz and not /livez: with several processes the latter answers while none of them serves yet. A server that goes on
// without Postgres or Redis is ready.
import process from "node:process";

const TIMEOUT_MS = 2_000;

/** A container runs a server or a worker; whichever it is answers on one of these. */
const ports = new Set(
  [process.env["HOP_ADMIN_PORT"], process.env["HOP_WORK_ADMIN_PORT"]].filter((port) => port !== undefined),
);

const answers = await Promise.allSettled(
  [...ports].map((port) =>
    fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) }),
  ),
);
const ready = answers.some((answer) => answer.status === "fulfilled" && answer.value.ok);
if (!ready) console.error(`nothing answers 200 to /readyz on port ${[...ports].join(" or ")}`);
process.exit(ready ? 0 : 1);
