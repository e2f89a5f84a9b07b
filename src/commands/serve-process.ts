// hop serve-process: one of the processes of `hop serve --workers N`, which starts it and tells it when to stop.
import { type Command, Option } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { type Hop, startServer } from "../compose.ts";
import { ConfigError } from "../config.ts";
import type { Manner } from "../fleet/drain.ts";
import { type Channel, type Facts, Member } from "../fleet/member.ts";
import { sendable } from "../fleet/messages.ts";
import { readConfig, type ServeFlags } from "./config.ts";
import { openLog } from "./log.ts";
import { forceAfter } from "./signals.ts";

interface Flags extends ServeFlags {
  readonly slot: string;
  readonly claims?: true;
  readonly joins?: true;
}

export function addServeProcess(program: Command): void {
  const command = program.command("serve-process", { hidden: true }).description("started by hop serve");
  for (const name of ["port", "workers", "preset", "slot"])
    command.addOption(new Option(`--${name} <value>`));
  command.option("--claims").option("--joins").action(serveProcess);
}

async function serveProcess({ slot, claims, joins: _joins, ...flags }: Flags): Promise<void> {
  const config = readConfig(flags);
  const base = { process: Number(slot) };
  const log = openLog(config, base);
  // A terminal sends these to every process of the group; only the supervisor decides.
  for (const name of ["SIGINT", "SIGHUP"] as const) process.on(name, () => undefined);
  const channel = openChannel();
  const member = new Member(channel);
  const order = Promise.race([member.order, nextTermination()]);
  let serving = false;
  // Nothing has been served yet, so nothing has to be finished.
  void order.then(() => (serving ? undefined : process.exit(1)));
  const sharing = claims ? "claims" : "joins";
  const hop = await startServer({ ...config, adminPort: 0 }, log, packageJson.version, sharing, (stage) =>
    member.tell(stage),
  ).catch((error) => {
    // An open channel would keep a process that has failed alive.
    closeChannel();
    throw error;
  });
  serving = true;
  const facts = factsOf(hop);
  const { port, baseUrl, newAdminKey } = hop;
  await member.introduce(facts, { kind: "ready", port, baseUrl, newAdminKey });
  const manner = await order;
  log.info({ manner }, "stopping");
  forceAfter(config.drainMs + config.handoverMs + config.stopTimeoutMs, () => process.exit(1));
  await hop.close(manner);
  await channel.send({ kind: "farewell", metrics: await facts.metrics() });
  process.exit();
}

function factsOf({ registry, health }: Hop): Facts {
  return {
    metrics: async () => sendable(await registry.getMetricsAsJSON()),
    health: async () => {
      const answer = await health.ready();
      return { status: answer.status, body: await answer.json() };
    },
    drain: () => health.drain(),
  };
}

/** Some tell every process of a service to stop, as systemd does. */
function nextTermination(): Promise<Manner> {
  return new Promise((resolve) => process.once("SIGTERM", () => resolve("drain")));
}

/** A supervisor that is gone or does not listen must not hold a process that wants to end. */
const SEND_TIMEOUT_MS = 1_000;

function openChannel(): Channel {
  if (process.send === undefined) {
    throw new ConfigError(["serve-process is started by `hop serve --workers N`; run that instead"]);
  }
  const send = process.send.bind(process);
  return {
    send: async (message) => {
      const sent = new Promise<void>((resolve) => {
        if (process.connected) send(message, undefined, undefined, () => resolve());
        else resolve();
      });
      await Promise.race([sent, Bun.sleep(SEND_TIMEOUT_MS)]);
    },
    onMessage: (listener) => process.on("message", listener),
    onClosed: (listener) => process.on("disconnect", listener),
  };
}

function closeChannel(): void {
  for (const event of ["message", "disconnect"]) process.removeAllListeners(event);
  process.disconnect?.();
}
