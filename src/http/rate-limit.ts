// Rate limits in the language of HTTP: whom they count, the 429, and the RateLimit fields.
import { AppError } from "../lib/errors.ts";
import { limitedNetwork } from "../lib/ip.ts";
import type { Allowance, RateLimiter } from "../lib/rate-limit.ts";

/** Every limit; the label of hop_rate_limited_total and the name of the policy in the RateLimit fields. */
export const LIMITS = ["key_writes", "address_writes", "address_failures", "address_misses"] as const;
export type LimitName = (typeof LIMITS)[number];

export interface RateLimitsOptions {
  /** A limit without a limiter is off. */
  readonly limiters: { readonly [Name in LimitName]: RateLimiter | undefined };
  /** What stands for a network where others may read it: no address leaves this process (P8). */
  readonly pseudonym: (network: string) => string;
  readonly onLimited: (name: LimitName) => void;
}

/** What limits say to a request. */
export interface Verdict {
  /** For the answer, whatever it is. */
  readonly headers: Readonly<Record<string, string>>;
  /** RATE_LIMITED when a limit is exceeded. */
  readonly refusal: AppError | undefined;
}

interface Counted extends Allowance {
  readonly name: LimitName;
  readonly limiter: RateLimiter;
}

const UNLIMITED: Verdict = { headers: {}, refusal: undefined };

export class RateLimits {
  readonly #options: RateLimitsOptions;

  constructor(options: RateLimitsOptions) {
    this.#options = options;
  }

  /** A request that would make, change or delete a link, by who may. Its answer says what is left. */
  async countWrite(apiKeyId: number, clientIp: string): Promise<Verdict> {
    const counted = await Promise.all([
      this.#count("key_writes", () => String(apiKeyId)),
      this.#count("address_writes", () => this.#subject(clientIp)),
    ]);
    return this.#judge(counted.filter((each) => each !== undefined));
  }

  /** A request without a valid key. Only a refusal says anything of the limit: to strangers it is no budget. */
  async countFailure(clientIp: string): Promise<Verdict> {
    return this.#countStranger("address_failures", clientIp);
  }

  /** A request for a link that does not exist. */
  async countMiss(clientIp: string): Promise<Verdict> {
    return this.#countStranger("address_misses", clientIp);
  }

  async #countStranger(name: LimitName, clientIp: string): Promise<Verdict> {
    const counted = await this.#count(name, () => this.#subject(clientIp));
    return counted === undefined || counted.allowed ? UNLIMITED : this.#judge([counted]);
  }

  async #count(name: LimitName, subject: () => string): Promise<Counted | undefined> {
    const limiter = this.#options.limiters[name];
    return limiter && { name, limiter, ...(await limiter.consume(subject())) };
  }

  #subject(clientIp: string): string {
    return this.#options.pseudonym(limitedNetwork(clientIp));
  }

  #judge(counted: readonly Counted[]): Verdict {
    if (counted.length === 0) return UNLIMITED;
    const headers = rateLimitFields(counted);
    const exceeded = counted.filter(({ allowed }) => !allowed);
    if (exceeded.length === 0) return { headers, refusal: undefined };
    for (const { name } of exceeded) this.#options.onLimited(name);
    const seconds = Math.max(...exceeded.map(({ resetMs }) => wholeSeconds(resetMs)));
    const refusal = new AppError("RATE_LIMITED", `Too many requests; try again in ${seconds} s.`);
    return { headers: { ...headers, "Retry-After": String(seconds) }, refusal };
  }
}

/** draft-ietf-httpapi-ratelimit-headers-10: structured fields, `q` uses in `w` seconds; `r` are left, for `t` seconds. */
function rateLimitFields(counted: readonly Counted[]): Record<string, string> {
  const policies = counted.map(
    ({ name, limiter }) => `"${name}";q=${limiter.limit};w=${limiter.windowMs / 1_000}`,
  );
  const states = counted.map(
    ({ name, remaining, resetMs }) => `"${name}";r=${remaining};t=${wholeSeconds(resetMs)}`,
  );
  return { "RateLimit-Policy": policies.join(", "), RateLimit: states.join(", ") };
}

/** Rounded up: who comes back then is not too early. */
function wholeSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}
