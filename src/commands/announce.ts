// What `hop serve` prints when it serves: the lines that users and scripts wait for.

export function announce(hop: {
  readonly baseUrl: string;
  readonly adminUrl: string | undefined;
  readonly newAdminKey?: string | undefined;
}): void {
  if (hop.newAdminKey !== undefined) {
    console.log(`Your admin API key, shown only now: ${hop.newAdminKey}`);
  }
  const admin = hop.adminUrl === undefined ? "" : ` (metrics and health at ${hop.adminUrl})`;
  console.log(`hop is ready at ${hop.baseUrl}${admin}`);
}
