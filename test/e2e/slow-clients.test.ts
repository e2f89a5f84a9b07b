// Clients that are slow on purpose: each is hung up on within a bound, and nobody else notices.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { ADMIN_KEY, type HopProcess, startHop } from "../helpers/hop-process.ts";
import { waitFor } from "../helpers/wait-for.ts";

const CLIENTS = 200;
const BODY_TIMEOUT_MS = 1_500;
/** What Bun gives a connection for its headers is 10 s, looked at every 4 s; twice that on a busy machine. */
const HEADERS_PATIENCE_MS = 30_000;
const REDIRECT_PATIENCE_MS = 2_000;

let database: TestDatabase;
let hop: HopProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  hop = await startHop({
    HOP_DATABASE_URL: database.url,
    HOP_BODY_TIMEOUT_MS: String(BODY_TIMEOUT_MS),
    HOP_IDLE_TIMEOUT_SECONDS: "4",
  });
  expect(
    (await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "known" })).status,
  ).toBe(201);
});
afterAll(async () => {
  await hop?.kill("SIGKILL");
  await database?.drop();
});

class SlowClient {
  readonly #socket: Socket;
  received = "";
  closed = false;
  #dribble: NodeJS.Timeout | undefined;

  constructor(first: string) {
    const { hostname, port } = new URL(hop.url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
    });
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.closed = true;
      clearInterval(this.#dribble);
    });
    this.#socket.write(first);
  }

  /** Another piece every so often, for ever: no silence that an idle timeout could see. */
  dribble(piece: string, everyMs: number): this {
    this.#dribble = setInterval(() => this.#socket.write(piece), everyMs);
    return this;
  }

  end(): void {
    clearInterval(this.#dribble);
    this.#socket.destroy();
  }
}

/** Runs while the clients are there; then all of them have to be gone within the time. */
async function withClients(make: () => SlowClient, patienceMs: number): Promise<SlowClient[]> {
  const clients = Array.from({ length: CLIENTS }, make);
  try {
    let asked = 0;
    await waitFor(
      "every slow client to be hung up on",
      async () => {
        const startedAtMs = performance.now();
        expect((await fetch(`${hop.url}/known`, { redirect: "manual" })).status).toBe(302);
        expect(performance.now() - startedAtMs).toBeLessThan(REDIRECT_PATIENCE_MS);
        asked++;
        return clients.every(({ closed }) => closed);
      },
      { timeoutMs: patienceMs, everyMs: 50 },
    );
    expect(asked).toBeGreaterThan(5);
  } finally {
    for (const client of clients) client.end();
  }
  return clients;
}

const POST = `POST /api/v1/links HTTP/1.1\r\nHost: hop.test\r\nAuthorization: Bearer ${ADMIN_KEY}\r\nContent-Type: application/json\r\n`;

test(`${CLIENTS} clients that dribble their headers for ever are hung up on, and redirects go on meanwhile`, async () => {
  const clients = await withClients(
    () => new SlowClient("GET /known HTTP/1.1\r\nHost: hop.test\r\n").dribble("X-Slow: 1\r\n", 700),
    HEADERS_PATIENCE_MS,
  );
  expect(clients.every(({ received }) => received === "" || received.startsWith("HTTP/1.1 4"))).toBe(true);
});

test(`${CLIENTS} clients that dribble their bodies for ever get 408 after HOP_BODY_TIMEOUT_MS`, async () => {
  const clients = await withClients(
    () => new SlowClient(`${POST}Connection: close\r\nContent-Length: 1000\r\n\r\n{`).dribble(" ", 200),
    BODY_TIMEOUT_MS + 15_000,
  );
  const answered = clients.filter(({ received }) => received.includes('"code":"REQUEST_TIMEOUT"'));
  expect(answered.length).toBe(CLIENTS);
});

test(`${CLIENTS} clients that send nothing, or only half a line, are hung up on`, async () => {
  let turn = 0;
  const clients = await withClients(
    () => new SlowClient(turn++ % 2 === 0 ? "" : "GET /kno"),
    HEADERS_PATIENCE_MS,
  );
  expect(clients.every(({ received }) => received === "")).toBe(true);
});
