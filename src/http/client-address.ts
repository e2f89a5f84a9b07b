// Who is asking: the client's address, taken from X-Forwarded-For only where a trusted proxy wrote it.

import { BlockList, isIPv4 } from "node:net";
import { AppError, type FieldError } from "../lib/errors.ts";
import { canonicalIp } from "../lib/ip.ts";

/** The networks whose X-Forwarded-* headers are believed. Immutable. */
export class TrustedProxies {
  // One list a family: in a common list ::/0 would cover IPv4 too.
  readonly #v4 = new BlockList();
  readonly #v6 = new BlockList();
  /** True when nobody is trusted, which is the default. */
  readonly isEmpty: boolean;

  /**
   * @param networks CIDRs such as `10.0.0.0/8` or `fd00::/8`; a bare address is itself alone
   * @throws AppError INVALID with one field error an entry that cannot be read, `trustedProxies.0` being the first
   */
  constructor(networks: readonly string[]) {
    const problems: FieldError[] = [];
    for (const [index, text] of networks.entries()) {
      if (!this.#add(text.trim())) {
        problems.push({
          path: `trustedProxies.${index}`,
          message: `${JSON.stringify(text)} is no network; write it as 10.0.0.0/8, fd00::/8 or a single address`,
        });
      }
    }
    if (problems.length > 0) {
      throw new AppError("INVALID", problems.map((problem) => problem.message).join("; "), {
        fields: problems,
      });
    }
    this.isEmpty = networks.length === 0;
  }

  /** @param address as `canonicalIp` spells it */
  has(address: string): boolean {
    if (this.isEmpty) {
      return false;
    }
    return isIPv4(address) ? this.#v4.check(address, "ipv4") : this.#v6.check(address, "ipv6");
  }

  #add(text: string): boolean {
    const match = /^([^/%]+)(?:\/(\d{1,3}))?$/u.exec(text);
    const given = match?.[1] ?? "";
    const address = canonicalIp(given);
    if (address === undefined) {
      return false;
    }
    const v4 = isIPv4(address);
    // In ::ffff:10.0.0.0/104 the first 96 bits say "this is IPv4".
    const mappedBits = v4 && given.includes(":") ? 96 : 0;
    const bits = v4 ? 32 : 128;
    const prefix = match?.[2] === undefined ? bits : Number(match[2]) - mappedBits;
    if (prefix < 0 || prefix > bits) {
      return false;
    }
    if (v4) {
      this.#v4.addSubnet(address, prefix, "ipv4");
    } else {
      this.#v6.addSubnet(address, prefix, "ipv6");
    }
    return true;
  }
}

/**
 * The address to count and to limit: the rightmost address of `peer, X-Forwarded-For` that is not a trusted proxy.
 * Each proxy appends the address it was called from, so everything left of the first untrusted address is hearsay.
 * An entry that is no address ends the walk at the last address that was vouched for.
 *
 * @param peer the address at the other end of the connection
 * @returns the address as `canonicalIp` spells it, or "" when the peer has none (a Unix socket)
 */
export function clientIp(peer: string, forwardedFor: string | null, trusted: TrustedProxies): string {
  let address = canonicalIp(peer);
  if (address === undefined) {
    return "";
  }
  const list = forwardedFor ?? "";
  let end = list.length;
  while (end > 0 && trusted.has(address)) {
    const comma = list.lastIndexOf(",", end - 1);
    const next = canonicalIp(withoutPort(list.slice(comma + 1, end).trim()));
    if (next === undefined) {
      break;
    }
    address = next;
    end = comma;
  }
  return address;
}

/** Some proxies write `192.0.2.1:443`, `[2001:db8::1]` or `[2001:db8::1]:443`. */
function withoutPort(entry: string): string {
  const match = /^(?:\[([0-9a-f:.]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/i.exec(entry);
  return match?.[1] ?? match?.[2] ?? entry;
}
