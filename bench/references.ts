// The servers that hop is compared with: nginx, and Bun.serve alone.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, freePort, startChild, waitFor } from "./child.ts";

export interface Reference {
  readonly child: Child;
  readonly url: string;
}

const READY_TIMEOUT_MS = 10_000;
const BARE_SERVER = fileURLToPath(new URL("bare-server.ts", import.meta.url));

/** Its path, also where the system keeps it out of an ordinary user's PATH; undefined when it is not installed. */
export function findNginx(): string | undefined {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;
  return Bun.which("nginx", { PATH: path }) ?? undefined;
}

/** One process that runs as the current user, whoever that is: no master, no change of user, no files outside. */
export async function startNginx(nginx: string, workDir: string, signal: AbortSignal): Promise<Reference> {
  const directory = join(workDir, "nginx");
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const config = join(directory, "nginx.conf");
  await Bun.write(config, nginxConfig(directory, port));
  const child = startChild(nginx, ["-p", directory, "-e", "stderr", "-c", config], { signal });
  const url = `http://127.0.0.1:${port}`;
  await waitFor("nginx", child, () => answers(url), { timeoutMs: READY_TIMEOUT_MS, signal });
  return { child, url };
}

function nginxConfig(directory: string, port: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
${temporary.map((name) => `  ${name}_temp_path ${directory}/${name};`).join("\n")}
  server {
    listen 127.0.0.1:${port};
    location / { return 302 https://shop.example.com/campaign/landing-page?utm_source=bench&item=000000000001; }
  }
}
`;
}

export async function startBareServer(signal: AbortSignal): Promise<Reference> {
  const child = startChild(process.execPath, [BARE_SERVER], { signal });
  const url = await waitFor("Bun.serve", child, () => /ready at (\S+)/.exec(child.output())?.[1], {
    timeoutMs: READY_TIMEOUT_MS,
    signal,
  });
  return { child, url };
}

async function answers(url: string): Promise<true | undefined> {
  try {
    await fetch(url, { method: "HEAD", redirect: "manual" });
    return true;
  } catch {
    // Refused: it does not listen yet.
    return undefined;
  }
}
