// Tracing that is off costs nothing: not even its code is there.
import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What a process that imports these has loaded of hop's tracing and of the library that exports spans. */
async function loadedBy(...modules: readonly string[]): Promise<string[]> {
  const script = `
    for (const name of ${JSON.stringify(modules)}) await import(name);
    const loaded = Object.keys(require.cache).filter((path) => /src.tracing|opentelemetry.(sdk|exporter|core)/.test(path));
    console.log(JSON.stringify(loaded));`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(await new Response(child.stdout).text()) as string[];
}

test("nothing of tracing is loaded by a server or a worker that does not trace", async () => {
  expect(
    await loadedBy("./src/commands/serve.ts", "./src/commands/work.ts", "./src/compose-worker.ts"),
  ).toEqual([]);
});

test("the check above would find it", async () => {
  expect((await loadedBy("./src/tracing/spans.ts")).length).toBeGreaterThan(3);
});
