// A real Prometheus that scrapes what a test gives it, on a free port and in a directory of its own.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { freePort } from "./hop-process.ts";
import { startProgram } from "./program.ts";

const answerSchema = z.object({
  status: z.string(),
  error: z.string().optional(),
  data: z.object({ result: z.array(z.object({ metric: z.record(z.string(), z.string()) })) }).optional(),
});

export interface TestPrometheus extends AsyncDisposable {
  /** An instant query: the series that it answers. @throws Error with what Prometheus says of the query */
  query(expr: string): Promise<readonly Readonly<Record<string, string>>[]>;
}

/** @param jobs targets (`host:port`) by the name of their job */
export async function startPrometheus(
  jobs: Readonly<Record<string, readonly string[]>>,
): Promise<TestPrometheus> {
  const directory = await mkdtemp(join(tmpdir(), "hop-prometheus-"));
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s" },
    scrape_configs: Object.entries(jobs).map(([job, targets]) => ({
      job_name: job,
      static_configs: [{ targets }],
    })),
  };
  // JSON is YAML.
  await Bun.write(join(directory, "prometheus.yml"), JSON.stringify(config));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const program = await startProgram({
    command: [
      "prometheus",
      `--config.file=${join(directory, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    directory,
    isReady: () =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
  });
  return {
    query: async (expr) => {
      const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`);
      const { status, error, data } = answerSchema.parse(await answer.json());
      if (status !== "success") throw new Error(`${expr}: ${error}`);
      return (data?.result ?? []).map(({ metric }) => metric);
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
