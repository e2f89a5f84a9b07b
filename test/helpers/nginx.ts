// The committed deploy/nginx.conf as a real nginx, in front of servers on this machine.
import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./hop-process.ts";
import { startProgram } from "./program.ts";

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
  const url = `http://127.0.0.1:${port}`;
  const program = await startProgram({
    command: ["nginx", "-c", join(directory, "hop.conf"), "-g", "daemon off;"],
    directory,
    isReady: () =>
      fetch(`${url}/livez`).then(
        () => true,
        () => false,
      ),
  });
  return { url, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}
