// A bound on API requests that are answered at once, so that a rush of them leaves memory and Postgres to redirects.
import type { MiddlewareHandler } from "hono";
import { AppError } from "../lib/errors.ts";

/** @throws TEMPORARILY_UNAVAILABLE above the bound, before anything of the request is read */
export function limitInFlight(max: number): MiddlewareHandler {
  let inFlight = 0;
  return async (_context, next) => {
    if (inFlight >= max) {
      throw new AppError("TEMPORARILY_UNAVAILABLE", "Too many requests are being answered; try again.");
    }
    inFlight++;
    try {
      await next();
    } finally {
      inFlight--;
    }
  };
}
