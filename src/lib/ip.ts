// IP addresses as text: one spelling for one address.

import { BlockList, isIPv4, isIPv6 } from "node:net";

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/u;

/**
 * The canonical spelling of an address, or undefined if `text` is none: IPv4 dotted, IPv6 as in RFC 5952 without a
 * zone, and an IPv4-mapped IPv6 address as the IPv4 address it stands for.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) {
    return text;
  }
  if (!isIPv6(text)) {
    return undefined;
  }
  const zone = text.indexOf("%");
  const url = URL.parse(`http://[${withoutDots(zone === -1 ? text : text.slice(0, zone))}]/`);
  if (url === null) {
    return undefined;
  }
  const address = url.hostname.slice(1, -1);
  const mapped = MAPPED.exec(address);
  if (mapped === null) {
    return address;
  }
  const high = Number.parseInt(mapped[1] ?? "", 16);
  const low = Number.parseInt(mapped[2] ?? "", 16);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** Bun 1.4's URL parser refuses some addresses with a dotted tail, such as 1::2:3:4:192.0.2.1; so none is shown to it. */
function withoutDots(address: string): string {
  const tail = address.lastIndexOf(":") + 1;
  const [a = 0, b = 0, c, d = 0] = address.slice(tail).split(".").map(Number);
  if (c === undefined) {
    return address;
  }
  return `${address.slice(0, tail)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}

// IANA's special-purpose registries (RFC 6890) and multicast: addresses that belong to no place.
const SPECIAL_PURPOSE = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
  ["::", 127],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001:db8::", 32],
  ["3fff::", 20],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const;

/** Tells private, loopback, documentation and other special-purpose addresses from those on the public internet. */
export class SpecialPurposeNetworks {
  readonly #networks = new BlockList();

  constructor() {
    for (const [address, prefix] of SPECIAL_PURPOSE) {
      this.#networks.addSubnet(address, prefix, isIPv4(address) ? "ipv4" : "ipv6");
    }
  }

  /** @param address as `canonicalIp` spells it */
  has(address: string): boolean {
    return this.#networks.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  }
}

/** 64:ff9b::/96, under which translators show IPv4 clients to IPv6 servers (RFC 6052). */
const TRANSLATED = /^64:ff9b::/;

/**
 * What one subscriber has to himself, so that limits count him once: an IPv4 address, or the first 64 bits of an IPv6
 * address, of which every home and every rented server gets at least as many.
 *
 * @param address as `canonicalIp` spells it; anything else is its own network
 */
export function limitedNetwork(address: string): string {
  if (!address.includes(":") || TRANSLATED.test(address)) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? [] : tail.split(":");
    const zeros = Math.max(0, 8 - groups.length - after.length);
    groups.push(...Array.from({ length: zeros }, () => "0"), ...after);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
