// Is the hop in this container alive? Exit code 0 or 1, for HEALTHCHECK: the image has no other HTTP client than Bun.
import process from "node:process";

const TIMEOUT_MS = 2_000;

/** A container runs a server or a worker; whichever it is answers on one of these. */
const ports = new Set(
  [process.env["HOP_ADMIN_PORT"], process.env["HOP_WORK_ADMIN_PORT"]].filter((port) => port !== undefined),
);

const answers = await Promise.allSettled(
  [...ports].map((port) =>
    fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(TIMEOUT_MS) }),
  ),
);
const alive = answers.some((answer) => answer.status === "fulfilled" && answer.value.ok);
if (!alive) console.error(`nothing answers 200 to /livez on port ${[...ports].join(" or ")}`);
process.exit(alive ? 0 : 1);
