// What a PromQL expression asks for, read with Prometheus' own grammar.
import { parser } from "@prometheus-io/lezer-promql";

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

export interface Parsed {
  readonly selectors: readonly Selector[];
  /** Labels of `by` and `without`. */
  readonly groupedBy: readonly string[];
  /** True when it is not PromQL. */
  readonly broken: boolean;
}

/** Grafana's variables, as Grafana would fill them in. */
export function withoutVariables(expr: string): string {
  return expr.replaceAll("$__rate_interval", "1m").replaceAll("$__range", "5m");
}

export function parsePromql(expr: string): Parsed {
  const selectors: { metric: string; matchers: { label: string; operator: string; value: string }[] }[] = [];
  const groupedBy: string[] = [];
  let broken = false;
  let inGrouping = false;
  parser.parse(expr).iterate({
    enter: ({ name, type, from, to }) => {
      const text = expr.slice(from, to);
      const selector = selectors.at(-1);
      const matcher = selector?.matchers.at(-1);
      if (type.isError) broken = true;
      if (name === "AggregateModifier") inGrouping = true;
      if (name === "VectorSelector") selectors.push({ metric: "", matchers: [] });
      if (name === "Identifier" && selector !== undefined) selector.metric ||= text;
      if (name === "UnquotedLabelMatcher") selector?.matchers.push({ label: "", operator: "", value: "" });
      if (name === "LabelName" && inGrouping) groupedBy.push(text);
      else if (name === "LabelName" && matcher !== undefined) matcher.label = text;
      if (name === "MatchOp" && matcher !== undefined) matcher.operator = text;
      if (name === "StringLiteral" && matcher !== undefined) matcher.value = text.slice(1, -1);
    },
    leave: ({ name }) => {
      if (name === "AggregateModifier") inGrouping = false;
    },
  });
  return { selectors, groupedBy, broken };
}
