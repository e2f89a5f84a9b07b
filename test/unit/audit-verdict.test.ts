// The audit's verdict on answers as npm gives them.
import { expect, test } from "bun:test";
import { judgeAudit } from "../helpers/audit-verdict.ts";

const DEPENDENCIES = { prod: 52, dev: 160, optional: 20, peer: 0, peerOptional: 0, total: 231 };

/** As npm 7 to 11 print it. */
function report(vulnerabilities: Record<string, object>, counts: Record<string, number> = {}): string {
  const none = { info: 0, low: 0, moderate: 0, high: 0, critical: 0, total: 0 };
  return JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities,
    metadata: { vulnerabilities: { ...none, ...counts }, dependencies: DEPENDENCIES },
  });
}

const semver = (severity: string) => ({
  name: "semver",
  severity,
  isDirect: false,
  via: [
    {
      source: 1096482,
      name: "semver",
      dependency: "semver",
      title: "semver vulnerable to Regular Expression Denial of Service",
      url: "https://github.com/advisories/GHSA-c2qf-rxjj-qqgw",
      severity,
      cwe: ["CWE-1333"],
      cvss: { score: 5.3, vectorString: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L" },
      range: "<5.7.2",
    },
  ],
  effects: ["node-gyp"],
  range: "<5.7.2",
  nodes: ["node_modules/semver"],
  fixAvailable: true,
});
const through = {
  name: "node-gyp",
  severity: "high",
  isDirect: true,
  via: ["semver"],
  effects: [],
  range: "<=10.0.0",
  nodes: ["node_modules/node-gyp"],
  fixAvailable: { name: "node-gyp", version: "11.0.0", isSemVerMajor: true },
};

test("nothing known is clean, and says of how many packages", () => {
  expect(judgeAudit(report({}), "")).toEqual({
    outcome: "clean",
    lines: ["audit: no weakness of moderate severity or more is known in 231 packages"],
  });
});

test.each(["moderate", "high", "critical"])(
  "a weakness that is %s fails, and says which and where to read",
  (severity) => {
    const { outcome, lines } = judgeAudit(
      report({ semver: semver(severity) }, { [severity]: 1, total: 1 }),
      "",
    );
    expect(outcome).toBe("weak");
    expect(lines).toEqual([
      "audit: packages with known weaknesses: 1; update them",
      `${severity}: semver <5.7.2: semver vulnerable to Regular Expression Denial of Service (https://github.com/advisories/GHSA-c2qf-rxjj-qqgw)`,
    ]);
  },
);

test("one that comes through another package fails too", () => {
  const { outcome, lines } = judgeAudit(report({ "node-gyp": through }), "");
  expect(outcome).toBe("weak");
  expect(lines[1]).toBe("high: node-gyp <=10.0.0: through semver");
});

test.each(["info", "low"])("one that is only %s is told and does not fail", (severity) => {
  const { outcome, lines } = judgeAudit(report({ semver: semver(severity) }), "");
  expect(outcome).toBe("clean");
  expect(lines[0]).toEndWith("(1 minor)");
  expect(lines[1]).toStartWith(`${severity}: semver`);
});

test("a minor one beside a grave one does not hide it", () => {
  const { outcome, lines } = judgeAudit(report({ semver: semver("low"), "node-gyp": through }), "");
  expect(outcome).toBe("weak");
  expect(lines).toHaveLength(3);
});

const REGISTRY = "https://registry.example/-/npm/v1/security/advisories/bulk";

test.each([
  [
    "does no audits",
    `405 Method Not Allowed - POST ${REGISTRY}`,
    "405 Method Not Allowed - POST the registry",
  ],
  [
    "is not there",
    `request to ${REGISTRY} failed, reason: connect ECONNREFUSED 127.0.0.1:1`,
    "request to the registry failed, reason: connect ECONNREFUSED 127.0.0.1:1",
  ],
])("a registry that %s leaves the audit undone, in a line without its address", (_name, message, reason) => {
  const output = JSON.stringify({
    message,
    method: "POST",
    uri: REGISTRY,
    error: { summary: "", detail: "" },
  });
  expect(judgeAudit(output, "")).toEqual({
    outcome: "undone",
    lines: [`audit could not be done: ${reason}`],
  });
});

test.each([
  [
    "no lock file",
    '{"error":{"code":"ENOLOCK","summary":"This command requires an existing lockfile.","detail":""}}',
    "npm error code ENOLOCK",
    "This command requires an existing lockfile.",
  ],
  ["a broken answer", "<html>", "npm error something\nmore", "npm error something"],
  ["silence", "", "", "npm said nothing"],
  ["a report of a shape we do not know", '{"auditReportVersion":9}', "", "npm said nothing"],
])("%s fails, since it may hide a weakness", (_name, output, complaint, reason) => {
  expect(judgeAudit(output, complaint)).toEqual({
    outcome: "unreadable",
    lines: [`audit gave no report: ${reason}`],
  });
});
