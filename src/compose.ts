// Config → wired objects and a close() that undoes them in reverse, also after half a start. Only this file knows every layer.
import { ClickObserver } from "./clicks/observer.ts";
import type { RollupKeeper } from "./clicks/rollup.ts";
import { SaltKeeper } from "./clicks/salt-keeper.ts";
import { AgentReader, CountryReader } from "./clicks/visitor.ts";
import { startAdmin } from "./compose-admin.ts";
import type { Config } from "./config.ts";
import { Departure, type Manner, stopListening } from "./fleet/drain.ts";
import type { MigrationStage } from "./fleet/messages.ts";
import { createApp } from "./http/app.ts";
import { TrustedProxies } from "./http/client-address.ts";
import { apiEndpoints } from "./http/endpoints.ts";
import type { Health } from "./http/health.ts";
import { openApiDocument } from "./http/openapi.ts";
import { createPreview } from "./http/preview.ts";
import { createRedirect } from "./http/redirect.ts";
import { createRefuse } from "./http/refusal.ts";
import { transportHeaders } from "./http/security-headers.ts";
import { listen, type Sharing } from "./http/server.ts";
import { createInstruments, type Instruments } from "./instruments.ts";
import { Authenticator } from "./keys/authenticate.ts";
import { systemClock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { repeat } from "./lib/loop.ts";
import { CodeGenerator } from "./links/code.ts";
import { LinkManager } from "./links/manage.ts";
import { serverHealth } from "./open-health.ts";
import { openLimits } from "./open-limits.ts";
import { openRecorder } from "./open-recorder.ts";
import { openSharedRedis } from "./open-redis.ts";
import { openResolver } from "./open-resolver.ts";
import { openConnections, openStorage, type Storage } from "./open-storage.ts";
import { openClickStream } from "./open-stream.ts";
import { openTracing } from "./open-tracing.ts";
import { MAINTENANCE_MS, startUpkeep } from "./open-upkeep.ts";
import { PostgresClickReader } from "./storage/postgres/click-reader.ts";
import { PostgresClickStore } from "./storage/postgres/clicks.ts";
import { PostgresIdempotencyStore } from "./storage/postgres/idempotency.ts";
import { PostgresKeyStore } from "./storage/postgres/keys.ts";
import { PostgresLinkStore } from "./storage/postgres/links.ts";
import { isMigrated, migrate } from "./storage/postgres/migrate.ts";
import { PostgresSaltStore } from "./storage/postgres/salts.ts";
import { createStreamInstruments } from "./stream-instruments.ts";

/** A running server. */
export interface Hop {
  /** Where short URLs begin. */
  readonly baseUrl: string;
  /** The admin listener's URL; undefined when it is off. */
  readonly adminUrl: string | undefined;
  /** The admin API key, only when this start made it. */
  readonly newAdminKey: string | undefined;
  readonly port: number;
  readonly health: Health;
  readonly registry: Instruments["registry"];
  /** Serves on for HOP_DRAIN_MS (or HOP_HANDOVER_MS, or not), then finishes what is in flight and undoes everything. */
  close(manner?: Manner): Promise<void>;
}

const IDEMPOTENCY_MS = 24 * 60 * 60 * 1_000;
/** Bytes above HOP_BODY_BYTES that are still read, so that the answer is a problem document and not a closed door. */
const BODY_MARGIN_BYTES = 1 << 20;

export async function startServer(
  config: Config,
  log: Log,
  version: string,
  sharing: Sharing = "alone",
  tell: (stage: MigrationStage) => Promise<void> = async () => undefined,
): Promise<Hop> {
  await using started = new AsyncDisposableStack();
  const storage = await openStorage(config, log);
  started.defer(() => storage.close());
  await openConnections(storage, config.startTimeoutMs, log);
  await tell("migrating");
  if (!(await isMigrated(storage.sql))) log.info({}, "migrating the database");
  for (const step of await migrate(storage.sql)) log.info({ migration: step }, "migrated");
  await tell("migrated");
  const newAdminKey = await new PostgresKeyStore(storage.sql).bootstrap(config.adminKey);

  const instruments = createInstruments(version);
  const rollup = await startUpkeep(config, storage.sql, log, started);
  const salts = await keepSalts(storage, log, started);
  const tracer = await openTracing(
    { config, registry: instruments.registry, process: "serve", version },
    started,
  );
  const store =
    config.clicks === "stream"
      ? openClickStream(
          config,
          createStreamInstruments(instruments.registry, config.streamMaxBytes),
          log,
          started,
        )
      : new PostgresClickStore(storage.hotSql);
  const tracedStore = tracer?.around(store, config.clicks === "stream" ? "append" : "store") ?? store;
  const recorder = await openRecorder({ config, store: tracedStore, instruments, log }, (producer) =>
    new PostgresClickStore(storage.sql).openProducer(producer),
  );
  started.defer(() => recorder.close(config.shutdownTimeoutMs));
  const { resolver, invalidate } = await openResolver({ config, storage, instruments, log }, started);

  const redis = openSharedRedis(config, log, started);
  const health = serverHealth(config, storage.sql, redis);
  let baseUrl = config.baseUrl ?? "";
  const clock = systemClock;
  const salt = (day: string) => salts.saltOf(day);
  const limits = openLimits({ config, clock, salt, redis, instruments });
  const onBug = (error: unknown, requestId: string) => log.error({ err: error, requestId }, "request failed");
  const headers = transportHeaders(baseUrl);
  const refuse = createRefuse({ limits, headers, onBug });
  const links = createLinkManager(config, storage, instruments, invalidate, rollup);
  const endpoints = apiEndpoints({
    links,
    clicks: new PostgresClickReader(storage.sql),
    clock,
    baseUrl: () => baseUrl,
  });
  const authenticator = new Authenticator({
    store: new PostgresKeyStore(storage.sql),
    clock,
    timeoutMs: config.lookupTimeoutMs,
    maxBatch: config.batchMax,
    maxQueued: config.lookupQueueMax,
    onTouchFailed: (error) => log.warn({ err: error }, "the last use of an API key was not remembered"),
  });
  started.defer(() => authenticator.close());
  const departure = new Departure();
  const server = listen({
    sharing,
    onBug: (error) => log.error({ err: error }, "a connection failed"),
    departing: () => departure.begun,
    fastPath: config.fastPath,
    maxWaitingBytes: config.pipelineBytes,
    firstRequestMs: config.handoverMs,
    host: config.host,
    port: config.port,
    idleTimeoutSeconds: config.idleTimeoutSeconds,
    maxBodyBytes: config.bodyBytes + BODY_MARGIN_BYTES,
    trustedProxies: new TrustedProxies(config.trustedProxies),
    redirect: createRedirect({
      resolver,
      recorder,
      observer: new ClickObserver({
        salt,
        agents: new AgentReader({ entries: 10_000 }),
        countries: CountryReader.open(),
      }),
      clock,
      tracer,
      onDone: (outcome, startedAtMs) => {
        instruments.redirects.add(outcome);
        if (outcome === "redirected") instruments.clicks.add("recorded");
        instruments.redirectSeconds.observe((performance.now() - startedAtMs) / 1_000);
      },
      refuse,
    }),
    preview: createPreview({ links, clock, baseUrl: () => baseUrl, refuse, headers }),
    app: createApp({
      endpoints,
      openApi: openApiDocument(endpoints, version),
      authenticator,
      bodyBounds: { maxBytes: config.bodyBytes, timeoutMs: config.bodyTimeoutMs },
      health,
      limits,
      maxInFlight: config.apiRequestsMax,
      headers,
      onRequest: (route, method, status, seconds) => {
        instruments.httpRequests.inc({ route, method, status });
        instruments.httpSeconds.observe(seconds);
      },
      onBug,
    }),
  });
  started.defer(() => stopListening(server, config.shutdownTimeoutMs));
  baseUrl ||= `http://localhost:${server.port}`;
  const adminUrl = startAdmin(
    { host: config.adminHost, port: config.adminPort },
    health,
    instruments,
    started,
  );
  started.defer(() => health.drain());

  const running = started.move();
  const close = async (manner: Manner = "drain") => {
    departure.begin();
    if (manner !== "hand over") health.drain();
    const serveOnMs = { drain: config.drainMs, "hand over": config.handoverMs, now: 0 }[manner];
    await Bun.sleep(serveOnMs);
    await running.disposeAsync();
  };
  return { baseUrl, adminUrl, newAdminKey, port: server.port, health, registry: instruments.registry, close };
}

/** Today's salt before the first request; what is too old goes every hour. */
async function keepSalts(storage: Storage, log: Log, started: AsyncDisposableStack): Promise<SaltKeeper> {
  const salts = new SaltKeeper(new PostgresSaltStore(storage.sql), systemClock);
  const idempotency = new PostgresIdempotencyStore(storage.sql);
  const maintain = async () => {
    await salts.refresh();
    await idempotency.purge(systemClock() - IDEMPOTENCY_MS);
  };
  await maintain();
  const loop = repeat(MAINTENANCE_MS, maintain, (error) =>
    log.warn({ err: error }, "maintenance failed; trying again in an hour"),
  );
  started.defer(() => loop.stop());
  return salts;
}

function createLinkManager(
  config: Config,
  storage: Storage,
  instruments: Instruments,
  invalidate: (code: string) => void,
  rollup: RollupKeeper,
): LinkManager {
  return new LinkManager({
    store: new PostgresLinkStore(storage.sql),
    idempotency: new PostgresIdempotencyStore(storage.sql),
    codes: new CodeGenerator(config.codeAlphabet, config.codeLength),
    clock: systemClock,
    maxAttempts: config.codeAttempts,
    maxBatch: config.createBatchMax,
    maxQueued: config.createQueueMax,
    onCollision: () => instruments.codeCollisions.inc(),
    onCreated: () => instruments.linksCreated.inc(),
    onChanged: invalidate,
    freshenClicks: () => rollup.freshen(),
  });
}
