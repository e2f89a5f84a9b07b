// Finds programs.

/** On PATH as it is now; `Bun.which` alone looks where PATH pointed when the process began. */
export function which(program: string): string | undefined {
  return Bun.which(program, { PATH: process.env["PATH"] ?? "" }) ?? undefined;
}
