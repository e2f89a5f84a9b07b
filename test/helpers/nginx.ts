// The committed deploy/nginx.conf as a real nginx, in front of servers on this machine.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./hop-process.ts";
import { waitFor } from "./wait-for.ts";

const CONF = new URL("../../deploy/nginx.conf", import.meta.url);

/** @param ports of the two servers, which the file calls server-1 and server-2 */
export async function startNginx(
  ports: readonly [number, number],
): Promise<{ readonly url: string } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), "hop-nginx-"));
  // Under root nginx works as another user, who has to reach its temporary files.
  await chmod(directory, 0o711);
  const port = await freePort();
  const conf = (await Bun.file(CONF).text())
    .replace("listen 8080 ", `listen 127.0.0.1:${port} `)
    .replace("server server-1:8080", `server 127.0.0.1:${ports[0]}`)
    .replace("server server-2:8080", `server 127.0.0.1:${ports[1]}`)
    .replaceAll("/tmp/", `${directory}/`);
  await Bun.write(join(directory, "hop.conf"), conf);
  let printed = "";
  const child = spawn("nginx", ["-c", join(directory, "hop.conf"), "-g", "daemon off;"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const killNow = () => child.kill("SIGTERM");
  process.once("exit", killNow);
  const url = `http://127.0.0.1:${port}`;
  await waitFor("nginx to answer", async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${printed}`);
    return fetch(`${url}/livez`).then(
      () => true,
      () => false,
    );
  });
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      process.off("exit", killNow);
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await gone;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
