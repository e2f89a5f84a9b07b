// Serves redirects with hop's own parts and changes every slice how much of them is observed: the same process,
// connections and compiled code on both sides of each comparison. Arguments: ms a slice, then the variants in their order.
// Nothing is stored: a store would hide the cost behind its own, and stretch what a redirect costs.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { ClickStore } from "../src/clicks/ports.ts";
import { ClickObserver } from "../src/clicks/observer.ts";
import { AgentReader, CountryReader } from "../src/clicks/visitor.ts";
import { type Config, loadConfig } from "../src/config.ts";
import { TrustedProxies } from "../src/http/client-address.ts";
import { createRedirect, type Redirect } from "../src/http/redirect.ts";
import { listen } from "../src/http/server.ts";
import { createInstruments, type Instruments } from "../src/instruments.ts";
import { systemClock } from "../src/lib/clock.ts";
import { createLog } from "../src/lib/log.ts";
import { RouteCache } from "../src/links/route-cache.ts";
import { openRecorder } from "../src/open-recorder.ts";
import { openTracing, type Tracer } from "../src/open-tracing.ts";

const ROUTE = {
  linkId: 1,
  version: 1,
  target: "https://shop.example.com/campaign/landing-page?utm_source=bench&item=000000000001",
  status: 302,
  expiresAtMs: Number.POSITIVE_INFINITY,
  deleted: false,
} as const;
/** In the next turn of the event loop, so that clicks of one turn make a batch. */
const nothingStored: ClickStore = {
  storeBatches: async (batches) => {
    await new Promise((resolve) => setImmediate(resolve));
    return batches.reduce((sum, { clicks }) => sum + clicks.length, 0);
  },
  closeProducer: async () => undefined,
};
const VERSION = "benchmark";
const [sliceMs = "", ...names] = process.argv.slice(2);
const config = loadConfig({
  env: process.env,
  readFile: () => "",
  cwd: process.cwd(),
  cores: availableParallelism(),
});
const log = createLog({ level: config.logLevel, pretty: false, secrets: [], base: {} });
const observerParts = {
  salt: () => new Uint8Array(32),
  agents: new AgentReader({ entries: 10_000 }),
  countries: CountryReader.open(),
};

await using started = new AsyncDisposableStack();
const variants: Redirect[] = [];
for (const [place, name] of names.entries()) {
  const dataDir = join(config.dataDir, `variant-${place}`);
  variants.push(await openVariant({ ...config, dataDir }, name, started));
}

let current = 0;
let answered = 0;
const server = listen({
  sharing: "alone",
  host: config.host,
  port: config.port,
  idleTimeoutSeconds: config.idleTimeoutSeconds,
  maxBodyBytes: config.bodyBytes,
  trustedProxies: new TrustedProxies([]),
  redirect: (request, code, clientIp, requestId) => {
    answered++;
    const redirect = variants[current];
    return redirect === undefined ? notFound() : redirect(request, code, clientIp, requestId);
  },
  preview: async () => notFound(),
  app: { fetch: notFound },
  onBug: (error) => log.error({ err: error }, "a connection failed"),
  departing: () => false,
  fastPath: config.fastPath,
  maxWaitingBytes: config.pipelineBytes,
  firstRequestMs: config.handoverMs,
});
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
console.log(`ready at http://127.0.0.1:${server.port}`);

// Each cycle runs through the variants in the other direction, so that a drift favours none.
for (let cycle = 0; !stopping.signal.aborted; cycle++) {
  const places = names.map((_, place) => place);
  const slices = new Map<number, { requests: number; cpuUs: number }>();
  for (const place of cycle % 2 === 0 ? places : places.toReversed()) slices.set(place, await slice(place));
  console.log(`CYCLE ${JSON.stringify(places.map((place) => slices.get(place)))}`);
}
await server.stop(true);
process.exit(0);

/** Requests and the CPU time of this process while one variant answered. */
async function slice(place: number): Promise<{ requests: number; cpuUs: number }> {
  current = place;
  const [before, cpuBefore] = [answered, process.cpuUsage()];
  await Bun.sleep(Number(sliceMs));
  const { user, system } = process.cpuUsage(cpuBefore);
  return { requests: answered - before, cpuUs: user + system };
}

function notFound(): Response {
  return new Response(null, { status: 404 });
}

async function openVariant(own: Config, name: string, stack: AsyncDisposableStack): Promise<Redirect> {
  const instruments = createInstruments(VERSION);
  if (name === "silent") silence(instruments);
  const tracer = name === "traced" ? await openTraces(own, instruments, stack) : undefined;
  const stored = tracer?.around(nothingStored, "store") ?? nothingStored;
  const recorder = await openRecorder(
    { config: own, store: stored, instruments, log },
    async () => undefined,
  );
  const resolver = new RouteCache({
    source: { find: async () => ({ route: ROUTE, ageMs: 0 }) },
    clock: systemClock,
    random: Math.random,
    ttlMs: own.cacheTtlMs,
    maxEntries: own.cacheEntries,
    maxBytes: own.cacheBytes,
    unknownTtlMs: own.unknownTtlMs,
    maxUnknown: own.unknownEntries,
    staleAfterMs: own.staleAfterMs,
    retryAfterFailureMs: own.staleAfterMs,
    onResult: (result) => instruments.cacheRequests.add(`memory ${result}`),
  });
  return createRedirect({
    resolver,
    recorder,
    observer: new ClickObserver(observerParts),
    clock: systemClock,
    tracer,
    onDone: (outcome, startedAtMs) => {
      instruments.redirects.add(outcome);
      if (outcome === "redirected") instruments.clicks.add("recorded");
      instruments.redirectSeconds.observe((performance.now() - startedAtMs) / 1_000);
    },
    refuse: async () => ({ code: "INTERNAL", response: notFound() }),
  });
}

async function openTraces(
  own: Config,
  { registry }: Instruments,
  stack: AsyncDisposableStack,
): Promise<Tracer | undefined> {
  return openTracing({ config: own, registry, process: "serve", version: VERSION }, stack);
}

/** All that a redirect and its click count, as if there were no instruments. */
function silence({ redirects, clicks, cacheRequests, redirectSeconds, clickBatchSize }: Instruments): void {
  for (const counter of [redirects, clicks, cacheRequests]) counter.add = nothing;
  for (const histogram of [redirectSeconds, clickBatchSize]) histogram.observe = nothing;
}

function nothing(): void {
  // What a silent instrument does.
}
