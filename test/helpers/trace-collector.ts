// A collector that takes OpenTelemetry traces over HTTP, as tests need it: it keeps what it was sent.
import { z } from "zod";

const attributeSchema = z.object({
  key: z.string(),
  value: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});
const bodySchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(attributeSchema) }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.string().optional(),
              name: z.string(),
              startTimeUnixNano: z.coerce.bigint(),
              endTimeUnixNano: z.coerce.bigint(),
              attributes: z.array(attributeSchema),
              status: z.object({ code: z.number() }),
            }),
          ),
        }),
      ),
    }),
  ),
});

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly process: string;
  readonly attributes: ReadonlyMap<string, unknown>;
  readonly failed: boolean;
  readonly startNs: bigint;
  readonly endNs: bigint;
}

export class TraceCollector {
  /** Every body, as it came. */
  readonly bodies: string[] = [];
  readonly spans: CollectedSpan[] = [];
  /** Requests are accepted and never answered. */
  silent = false;
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => this.#take(request),
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/v1/traces`;
  }

  /** The spans of one trace, the earliest first. */
  trace(traceId: string): CollectedSpan[] {
    return this.spans
      .filter((span) => span.traceId === traceId)
      .toSorted((a, b) => Number(a.startNs - b.startNs));
  }

  async close(): Promise<void> {
    await this.#server.stop(true);
  }

  async #take(request: Request): Promise<Response> {
    const text = await request.text();
    if (this.silent) await Promise.withResolvers<never>().promise;
    this.bodies.push(text);
    for (const { resource, scopeSpans } of bodySchema.parse(JSON.parse(text)).resourceSpans) {
      const process = String(valuesOf(resource.attributes).get("hop.process"));
      for (const { spans } of scopeSpans) {
        for (const {
          attributes,
          status,
          startTimeUnixNano,
          endTimeUnixNano,
          parentSpanId,
          ...span
        } of spans) {
          this.spans.push({
            ...span,
            parentSpanId,
            process,
            attributes: valuesOf(attributes),
            failed: status.code === 2,
            startNs: startTimeUnixNano,
            endNs: endTimeUnixNano,
          });
        }
      }
    }
    return Response.json({});
  }
}

function valuesOf(attributes: readonly z.infer<typeof attributeSchema>[]): ReadonlyMap<string, unknown> {
  return new Map(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
