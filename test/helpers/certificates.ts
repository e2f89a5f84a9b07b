// Certificates of authorities that nobody else knows, as files in a directory of their own.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const DAYS = "2";
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export class Certificates {
  readonly directory = mkdtempSync(join(tmpdir(), "hop-tls-"));

  /** `name.crt` and `name.key`, signed by itself. */
  makeAuthority(name: string): void {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.crt`];
    this.#openssl("req", "-x509", ...NEW_KEY, ...files, "-days", DAYS, "-subj", `/CN=${name}`);
  }

  /** `name.crt` and `name.key`. @param altName as in `DNS:localhost` */
  issue(name: string, authority: string, altName: string): void {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.csr`];
    this.#openssl("req", ...NEW_KEY, ...files, "-subj", `/CN=${name}`);
    writeFileSync(this.path(`${name}.ext`), `subjectAltName=${altName}`);
    const by = ["-CA", `${authority}.crt`, "-CAkey", `${authority}.key`, "-CAcreateserial"];
    const made = ["-in", `${name}.csr`, "-out", `${name}.crt`, "-extfile", `${name}.ext`];
    this.#openssl("x509", "-req", ...made, ...by, "-days", DAYS);
  }

  path(file: string): string {
    return join(this.directory, file);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync("openssl", args, { cwd: this.directory, stdio: "pipe" });
  }
}
