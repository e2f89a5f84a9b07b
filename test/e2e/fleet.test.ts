// Several processes on one port, as an operator meets them: started, crashed, reloaded, stopped and orphaned.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { MIGRATION_LOCK } from "../../src/storage/postgres/migrate.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { isAlive, processesOf, startFleet, stopAll } from "../helpers/supervised-hop.ts";
import { freePort, runHop, startHop } from "../helpers/hop-process.ts";
import { waitFor } from "../helpers/wait-for.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(stopAll);
afterAll(() => database.drop());

const start = (env: Record<string, string> = {}) =>
  startFleet({ HOP_DATABASE_URL: database.url, HOP_WORKERS: "2", ...env });

describe("several processes", () => {
  test("say once that they are ready and what the new key is, and all serve", async () => {
    const fresh = await createTestDatabase();
    try {
      const hop = await start({ HOP_DATABASE_URL: fresh.url, HOP_ADMIN_KEY: "" });
      expect(hop.output().match(/hop is ready/g)).toHaveLength(1);
      expect(hop.output().match(/shown only now: hop_/g)).toHaveLength(1);
      expect(await processesOf(hop)).toHaveLength(2);
      // Each connection goes to one of them, whichever it is.
      const pids = new Set<number>();
      await waitFor("both to have answered", async () => {
        await fetch(`${hop.url}/livez`, { headers: { Connection: "close" } });
        for (const process of await processesOf(hop)) if (process.state === "ready") pids.add(process.pid);
        return pids.size === 2;
      });
      expect(await hop.kill("SIGTERM")).toBe(0);
    } finally {
      await stopAll();
      await fresh.drop();
    }
  });

  test("share an embedded Postgres, which stays while they come and go and stops with them", async () => {
    const { directory, ...hop } = await startFleet({ HOP_WORKERS: "2" });
    const made = await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "kept" });
    expect(made.status).toBe(201);
    const before = await processesOf(hop);
    expect((await runHop(["reload"], { HOP_DATA_DIR: directory })).code).toBe(0);
    expect((await processesOf(hop)).map(({ pid }) => pid)).not.toContain(before[0]?.pid);
    expect((await fetch(`${hop.url}/kept`, { redirect: "manual" })).status).toBe(302);
    expect(await hop.kill("SIGTERM")).toBe(0);
    const { output } = await runHop(["ledger"], { HOP_DATA_DIR: directory });
    expect(output).toContain("BALANCED");
  });

  test("one that is killed is replaced, and no counter of the host falls", async () => {
    const hop = await start();
    await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "counted" });
    for (let count = 0; count < 20; count++) {
      await fetch(`${hop.url}/counted`, { redirect: "manual", headers: { Connection: "close" } });
    }
    const redirected = 'hop_redirects_total{outcome="redirected"}';
    expect(await hop.metric(redirected)).toBe(20);
    expect(await hop.metric("hop_redirect_seconds_count")).toBe(20);
    for (const { pid } of await processesOf(hop)) process.kill(pid, "SIGKILL");
    const restarts = 'hop_process_restarts_total{why="crash"}';
    await waitFor("two others", async () => (await hop.metric(restarts)) === 2);
    await waitFor("both to be ready", async () => (await fetch(`${hop.adminUrl}/readyz`)).status === 200);
    expect(await hop.metric(redirected)).toBe(20);
    expect(await hop.metric("hop_redirect_seconds_count")).toBe(20);
    await fetch(`${hop.url}/counted`, { redirect: "manual" });
    expect(await hop.metric(redirected)).toBe(21);
    expect(await hop.kill("SIGTERM")).toBe(0);
  });

  test("one that waits for a migration is given all the time that takes", async () => {
    const startTimeoutMs = 3_000;
    const hop = await start({ HOP_PROCESS_START_TIMEOUT_MS: String(startTimeoutMs) });
    const before = await processesOf(hop);
    let reload: ReturnType<typeof runHop> | undefined;
    await database.sql.begin(async (migrating) => {
      await migrating`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`;
      reload = runHop(["reload"], { HOP_DATA_DIR: hop.directory });
      await waitFor("a new process to wait for longer than a start may take", async () => {
        const [row] = await migrating`
          SELECT count(*)::int AS waiting FROM pg_locks
          WHERE locktype = 'advisory' AND NOT granted AND objid = ${MIGRATION_LOCK}
            AND clock_timestamp() - waitstart > ${startTimeoutMs} * interval '1 ms'`;
        return row?.["waiting"] === 1;
      });
    });
    expect(await reload).toMatchObject({ code: 0 });
    const after = await processesOf(hop);
    expect(after.map(({ state }) => state)).toEqual(["ready", "ready"]);
    for (const { pid } of after) expect(before.map((process) => process.pid)).not.toContain(pid);
  });

  test("one that hangs is left out of nothing: its last numbers are kept, and health says which it is", async () => {
    const hop = await start({ HOP_PROCESS_ANSWER_TIMEOUT_MS: "200" });
    await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: "frozen" });
    await waitFor("a redirect of each process", async () => {
      await fetch(`${hop.url}/frozen`, { redirect: "manual", headers: { Connection: "close" } });
      return (await hop.metric("hop_redirect_seconds_count")) >= 8;
    });
    const [first] = await processesOf(hop);
    const before = await hop.metric("hop_redirect_seconds_count");
    process.kill(first?.pid ?? 0, "SIGSTOP");
    try {
      expect(await hop.metric("hop_redirect_seconds_count")).toBe(before);
      expect(await hop.metric("hop_process_answers_missing_total")).toBeGreaterThan(0);
      const ready = await fetch(`${hop.adminUrl}/readyz`);
      expect(ready.status).toBe(200);
      expect(await ready.json()).toMatchObject({ ready: 1, wanted: 2 });
    } finally {
      process.kill(first?.pid ?? 0, "SIGCONT");
    }
    await waitFor("both to answer again", async () => {
      const { ready } = (await (await fetch(`${hop.adminUrl}/readyz`)).json()) as { ready: number };
      return ready === 2;
    });
  });

  test("that all crash again and again end hop, loudly and with exit code 1", async () => {
    const hop = await start({ HOP_CRASHES_MAX: "2", HOP_RESTART_MS: "1" });
    const killed = new Set<number>();
    while (isAlive(hop.pid)) {
      const processes = await processesOf(hop).catch(() => []);
      for (const { pid } of processes.filter((one) => !killed.has(one.pid))) {
        killed.add(pid);
        if (isAlive(pid)) process.kill(pid, "SIGKILL");
      }
    }
    expect(await hop.ended()).toBe(1);
    expect(killed.size).toBeGreaterThanOrEqual(4);
    expect(hop.output()).toContain("see the log above for why, and start hop again");
  });
});

describe("a reload", () => {
  test("replaces every process and says how many", async () => {
    const hop = await start();
    const before = await processesOf(hop);
    const { code, output } = await runHop(["reload"], { HOP_DATA_DIR: hop.directory });
    expect([code, output]).toEqual([0, "2 processes were replaced\n"]);
    const after = await processesOf(hop);
    expect(after).toHaveLength(2);
    for (const { pid } of before) expect(isAlive(pid)).toBe(false);
  });

  test("whose first new process does not start is abandoned, and the old ones go on", async () => {
    const hop = await start({ HOP_START_TIMEOUT_MS: "300" });
    const before = await processesOf(hop);
    database.proxy.setMode("refuse");
    try {
      const { code, output } = await runHop(["reload"], { HOP_DATA_DIR: hop.directory });
      expect(code).toBe(1);
      expect(output).toContain("the reload was abandoned (process 1: the process ended before it was ready");
    } finally {
      database.proxy.setMode("pass");
    }
    expect((await processesOf(hop)).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
  });

  test("of what does not run, or is one process, says what to do", async () => {
    const { code, output } = await runHop(["reload"], { HOP_DATABASE_URL: database.url });
    expect([code, output]).toEqual([
      1,
      expect.stringContaining("start it with --workers 2 or more") as string,
    ]);
  });
});

describe("the port", () => {
  test("that another hop serves is refused to several processes and to one", async () => {
    const port = String(await freePort());
    await start({ HOP_PORT: port });
    for (const workers of ["1", "2"]) {
      const { code, output } = await runHop(["serve"], {
        HOP_DATABASE_URL: database.url,
        HOP_PORT: port,
        HOP_ADMIN_PORT: "0",
        HOP_WORKERS: workers,
        HOP_LOG_LEVEL: "warn",
      });
      expect([code, output]).toEqual([
        1,
        `hop: HOP_PORT: port ${port} of 127.0.0.1 is taken, perhaps by another hop; stop that or write another port\n`,
      ]);
    }
  });

  test("that another program has is refused, the admin port too", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    try {
      for (const [name, other] of [
        ["HOP_PORT", "HOP_ADMIN_PORT"],
        ["HOP_ADMIN_PORT", "HOP_PORT"],
      ] as const) {
        const env = { HOP_DATABASE_URL: database.url, HOP_WORKERS: "2", [name]: String(port), [other]: "0" };
        const { code, output } = await runHop(["serve"], env);
        expect([code, output]).toEqual([
          1,
          expect.stringContaining(`hop: ${name}: port ${port} of`) as string,
        ]);
      }
    } finally {
      server.close();
    }
  });

  test("is free, and all processes gone, soon after the supervisor was killed with -9", async () => {
    const port = String(await freePort());
    const hop = await start({ HOP_PORT: port });
    const processes = await processesOf(hop);
    await hop.kill("SIGKILL");
    await waitFor("no process to be left", () => processes.every(({ pid }) => !isAlive(pid)));
    const next = await startHop({ HOP_DATABASE_URL: database.url, HOP_PORT: port });
    expect(await next.kill("SIGTERM")).toBe(0);
  });
});

describe("stopping", () => {
  test("SIGTERM to one process alone makes it leave in order and brings another", async () => {
    const hop = await start();
    const [first] = await processesOf(hop);
    process.kill(first?.pid ?? 0, "SIGTERM");
    await waitFor("another in its place", async () => {
      const now = await processesOf(hop);
      return now.length === 2 && now.every(({ pid, state }) => pid !== first?.pid && state === "ready");
    });
    expect(await hop.kill("SIGTERM")).toBe(0);
  });

  test.each(["1", "2"])(
    "with HOP_DRAIN_MS hop (%s processes) first says on every listener that it is about to, and serves on",
    async (workers) => {
      const hop = await start({ HOP_WORKERS: workers, HOP_DRAIN_MS: "60000" });
      await hop.api("POST", "/api/v1/links", { url: "https://example.com/", code: `drained${workers}` });
      process.kill(hop.pid, "SIGTERM");
      for (const url of [hop.adminUrl, hop.url]) {
        const draining = await waitFor("readiness to fail", async () => {
          const answer = await fetch(`${url}/readyz`);
          return answer.status === 503 ? ((await answer.json()) as { draining: boolean }) : undefined;
        });
        expect(draining.draining).toBe(true);
      }
      const answer = await fetch(`${hop.url}/drained${workers}`, { redirect: "manual" });
      expect(answer.status).toBe(302);
      const processes = workers === "1" ? [] : await processesOf(hop);
      // A second signal means: now, once it cannot be the first again.
      await waitFor("a second signal to end it", () => {
        if (isAlive(hop.pid)) process.kill(hop.pid, "SIGTERM");
        return !isAlive(hop.pid);
      });
      expect(await hop.kill("SIGTERM")).toBe(1);
      await waitFor("no process to be left", () => processes.every(({ pid }) => !isAlive(pid)));
    },
  );

  test("a process that hangs is killed at the deadline, and the exit code says so", async () => {
    const hop = await start({ HOP_STOP_TIMEOUT_MS: "500", HOP_HANDOVER_MS: "0" });
    const [first] = await processesOf(hop);
    process.kill(first?.pid ?? 0, "SIGSTOP");
    expect(await hop.kill("SIGTERM")).toBe(1);
    expect(isAlive(first?.pid ?? 0)).toBe(false);
    expect(hop.output()).toContain("1 processes did not stop in time and were killed (HOP_STOP_TIMEOUT_MS)");
  });
});
