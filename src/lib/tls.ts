// What TLS says of a peer that it does not believe.

/** The words of OpenSSL and BoringSSL for a certificate whose authority nobody named. */
const UNTRUSTED = /unable to (?:verify|get)|self.signed/i;

/** Whether an error was about a certificate of an unknown authority, and not about its host or its dates. */
export function isUntrusted(reason: string): boolean {
  return UNTRUSTED.test(reason);
}
