// The answers of hop's HTTP interface, as its documentation has them.
import { expect } from "bun:test";

export interface LinkAnswer {
  readonly code: string;
  readonly shortUrl: string;
  readonly url: string;
  readonly title: string | null;
  readonly tags: readonly string[];
  readonly status: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly expiresAt: string | null;
  readonly clicks: number;
}

export interface ListAnswer {
  readonly items: readonly LinkAnswer[];
  readonly nextCursor: string | null;
}

export interface StatsAnswer {
  readonly total: number;
  readonly unique: number;
  readonly series: readonly { readonly start: string; readonly clicks: number; readonly unique: number }[];
  readonly top: readonly { readonly value: string; readonly clicks: number }[];
  readonly asOf: string;
}

export interface ProblemAnswer {
  readonly type: string;
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly requestId: string;
}

/** The body of an answer with this status. */
export async function read<Body>(answer: Response | Promise<Response>, status: number): Promise<Body> {
  const response = await answer;
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).toBe(status);
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  return JSON.parse(text) as Body;
}

/** The problem document of an answer, whose headers are checked as well. */
export async function readProblem(
  answer: Response | Promise<Response>,
  status: number,
  code: string,
): Promise<ProblemAnswer> {
  const response = await answer;
  const text = await response.text();
  expect(response.headers.get("content-type"), text.slice(0, 500)).toBe("application/problem+json");
  const problem = JSON.parse(text) as ProblemAnswer;
  expect({ status: response.status, code: problem.code }, text.slice(0, 500)).toEqual({ status, code });
  expect(problem).toMatchObject({ type: "about:blank", status, title: expect.any(String) });
  expect(response.headers.get("x-request-id")).toBe(problem.requestId);
  const asksToWait = status === 429 || status === 503;
  expect(response.headers.get("retry-after")).toEqual(asksToWait ? expect.stringMatching(/^\d+$/) : null);
  return problem;
}
