import { exitCodes, settings } from "@ergon/node/cli";
import { describe, expect, test } from "vitest";

import { ergon } from "../support/cli.ts";

const commands = [
  "dev",
  "node",
  "agent",
  "submit",
  "batch",
  "get",
  "wait",
  "watch",
  "cancel",
  "retry",
  "end",
  "ls",
  "plan",
  "nodes",
  "agents",
  "shards",
  "doctor",
];
const NOWHERE = ["--nats", "nats://bob:hunter2@127.0.0.1:1"];

describe("help", () => {
  test("ergon --help names every command, every connection setting and every exit code", async () => {
    const { code, out, err } = await ergon(["--help"]);

    expect(code).toBe(0);
    expect(err).toBe("");
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command}\\b`, "m"));
    for (const { flag } of settings.filter(({ scope }) => scope === "connection")) expect(out).toContain(flag);
    for (const { code: exit, summary } of Object.values(exitCodes))
      expect(out).toContain(`${String(exit).padEnd(4)} ${summary}`);
  });

  test.for(commands)("ergon %s --help explains itself", async (command) => {
    const [byFlag, byWord] = await Promise.all([ergon([command, "--help"]), ergon(["help", command])]);

    expect(byFlag.code).toBe(0);
    expect(byFlag.out).toMatch(new RegExp(`^Usage: ergon ${command}`));
    expect(byWord).toEqual(byFlag);
  });

  test("ergon node --help tells every setting's variable and default", async () => {
    const { out } = await ergon(["node", "--help"]);
    const text = out.replace(/\s+/g, " ");

    for (const { flag, env } of settings.filter(({ scope }) => scope !== "connection")) {
      expect(text).toMatch(new RegExp(`${flag} .*\\(${env[0] ?? ""}`));
    }
    expect(text).toContain("(ERGON_SHARDS; default: 64)");
    expect(text).toContain("(ERGON_SESSION_TTL; default: 6s)");
  });

  test.for(commands)("ergon %s --help says where the options of every command are", async (command) => {
    const { out } = await ergon([command, "--help"]);

    expect(out).toMatch(/^Every command takes --json, --nats, .*: see ergon --help$/m);
  });

  test.for([["--help"], ...commands.map((command) => [command, "--help"])])(
    "ergon %s %s is no wider than a terminal of 80 columns",
    async (args) => {
      const { out } = await ergon(args, { terminal: true, columns: 80 });

      expect(out.split("\n").filter((line) => line.length > 80)).toEqual([]);
    },
  );

  test.for([
    ["frob", "--help"],
    ["help", "frob"],
    ["plan", "frob", "--help"],
    ["schedule", "frob", "--help"],
  ])("help for a command that is none, %j, is a usage error", async (args) => {
    expect(await ergon(args)).toEqual({
      code: 2,
      out: "",
      err: "ergon: INVALID_OPTION: unknown command 'frob'. See \"ergon --help\"\n",
    });
  });

  test("no command is a usage error that shows the help", async () => {
    const { code, out, err } = await ergon([]);

    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/^Usage: ergon/);
  });
});

describe("errors", () => {
  test.for([
    [["frob"], "unknown command 'frob'"],
    [["get"], "missing required argument 'id'"],
    [["get", "a", "b"], "too many arguments"],
    [["ls", "--frob"], "unknown option '--frob'"],
    [["ls", "--status", "lost"], "Allowed choices are scheduled, started, retrying, succeeded, failed, cancelled"],
    [["ls", "--limit", "few"], "must be a whole number"],
    [["dev", "--nats", "nats://other:4222"], "--nats: ergon dev starts its own NATS"],
    [["dev", "--port", "99999"], "must be a whole number from 0 to 65535"],
    [["wait", "x", "--timeout", "soon"], "Write it like 500ms, 30s or 5m"],
    [["wait", "x", "--timeout", "5"], "write 5ms or 5s"],
    [["submit", "echo", "--attempt-timeout", "5"], "write 5ms or 5s"],
    [["schedule", "add", "x", "--every", "30", "--driver", "echo"], "write 30ms or 30s"],
    [["node", "--session-ttl", "6"], "write 6ms or 6s"],
    [["--namespace", "a b", "nodes"], "--namespace: must be 1 to 64 letters"],
    [["agent"], "no driver is given: add --driver with echo, noop, sleep, http"],
    [["agent", "--driver", "mail"], "add the program that does the work after --"],
    [["agent", "--driver", "a", "--driver", "b", "--", "cat"], "a program serves exactly one driver"],
    [["agent", "--driver", "a", "--", "no-such-program"], 'the program "no-such-program" is not on PATH'],
    [
      ["agent", "--driver", "a", "--", "./no/such/program"],
      'the program "./no/such/program" is not an executable file',
    ],
    [["node", "--shards", "0"], "--shards: must be at least 1"],
  ] as const)("%j is refused as usage: one line, exit code 2", async ([args, text]) => {
    const { code, out, err } = await ergon(args);

    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(text);
    expect(err).toMatch(/^ergon: [A-Z_]+: [^\n]+\n$/);
  });

  test("on a terminal a long error is broken between words", async () => {
    const { err } = await ergon(["ls", "--status", "lost"], { terminal: true, columns: 60 });

    const lines = err.split("\n");
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.filter((line) => line.length > 60)).toEqual([]);
    expect(lines.map((line) => line.trim()).join(" ")).toContain(
      "Allowed choices are scheduled, started, retrying, succeeded, failed, cancelled",
    );
  });

  test("a usage error is JSON with --json", async () => {
    const { code, err } = await ergon(["get", "--json"]);

    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({
      error: "INVALID_OPTION",
      kind: "invalid",
      message: expect.stringContaining("missing required argument"),
    });
  });

  test("every fault of a configuration is an issue with --json (B-53)", async () => {
    const { err } = await ergon(["node", "--json"], { env: { ERGON_SHARDS: "x", ERGON_LOG_LEVEL: "loud" } });

    expect(JSON.parse(err)).toMatchObject({
      error: "INVALID_CONFIGURATION",
      issues: [{ field: "ERGON_SHARDS" }, { field: "ERGON_LOG_LEVEL" }],
    });
  });

  test("no NATS is exit code 4, with what to do next and without the password", async () => {
    const { code, out, err } = await ergon(["get", "x", ...NOWHERE]);

    expect([code, out]).toEqual([4, ""]);
    expect(err).toMatch(/^ergon: NATS_UNREACHABLE: [^\n]*127\.0\.0\.1:1[^\n]*"ergon dev"[^\n]*\n$/);
    expect(err).not.toContain("hunter2");
  });

  test("a stack comes only with --debug or ERGON_DEBUG=1", async () => {
    const [plain, flag, variable] = await Promise.all([
      ergon(["get", "x", ...NOWHERE]),
      ergon(["get", "x", "--debug", ...NOWHERE]),
      ergon(["get", "x", ...NOWHERE], { env: { ERGON_DEBUG: "1" } }),
    ]);

    expect(plain.err).not.toContain("    at ");
    expect(flag.err).toContain("    at ");
    expect(variable.err).toContain("    at ");
    expect(flag.err).not.toContain("hunter2");
  });
});
