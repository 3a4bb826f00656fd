import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { connect, plan } from "@ergon/core";
import { describe, expect } from "vitest";

import { readText } from "../support/documents.ts";
import { linesOf, test } from "../support/ergon-dev.ts";

const folder = mkdtempSync(path.join(tmpdir(), "ergon-plans-"));

function file(name: string, text: string): string {
  const at = path.join(folder, name);
  writeFileSync(at, text);
  return at;
}

/** The fences of the guide that begin with a comment naming a file. */
function guideFile(name: string): string {
  const found = new RegExp(`# ${name}\\n([\\s\\S]*?)\`\`\``).exec(readText("docs/plans.md"));
  return file(name, found?.[1] ?? "");
}

describe("plans by the command line", () => {
  test("the plan of the guide runs out of its file, tells its steps, and answers its output", async ({ ergon }) => {
    const ran = await ergon([
      "plan",
      "run",
      guideFile("order.yaml"),
      "--id",
      "g-1",
      "--wait",
      "--input",
      '{"to": "ann"}',
    ]);

    expect(ran).toMatchObject({ code: 0, out: '{"greeting":"HELLO ANN"}' });
    expect(ran.err).toContain("greet: succeeded\n");
    const shown = await ergon(["plan", "show", "g-1"]);
    expect(shown.out).toMatch(/^g-1 succeeded \d succeeded/);
    expect(
      linesOf(shown)
        .slice(1)
        .map((line) => line.split("\t").slice(0, 3)),
    ).toEqual([
      ["greet", "succeeded", "upcase"],
      ["note", "skipped", "echo"],
      ["say", "succeeded", "echo"],
    ]);
  });

  test("a plan that fails ends with exit code 1, shows where, and continues there by a retry", async ({ ergon }) => {
    const steps = [
      { id: "first", driver: "echo", payload: "1" },
      { id: "second", driver: "fails", retry: { maxAttempts: 1 } },
      { id: "third", driver: "echo" },
    ];
    const failed = await ergon(["plan", "run", file("fails.json", JSON.stringify({ steps })), "--id", "f-1", "--wait"]);

    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/^ergon: EXIT_3: plan f-1 has failed: .*no luck/m);
    expect((await ergon(["plan", "show", "f-1"])).out).toMatch(/^second\tfailed\tfails\t0 bytes\t\tEXIT_3: /m);

    const again = await ergon(["plan", "retry", "f-1", "--id", "f-2", "--wait"]);
    expect(again.code).toBe(1);
    const [view] = linesOf(await ergon(["plan", "show", "f-2", "--json"])).map((line) => JSON.parse(line) as object);
    expect(view).toMatchObject({
      origin: "f-1",
      steps: [{ status: "succeeded" }, { status: "failed" }, { status: "skipped" }],
    });
  });

  test("a plan with faults is refused by the names of its fields, with exit code 2", async ({ ergon }) => {
    const refused = await ergon(["plan", "run", file("bad.yaml", "steps:\n  - payload: 1\n  - driver: no name\n")]);

    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(/^ergon: INVALID_OPTION: 2 faults\n/);
    expect(refused.err).toContain("\n  steps[0].driver: a step is one of driver, machine and plan");
    expect(refused.err).toContain("steps[1].driver: ");
    expect(await ergon(["plan", "run", file("worse.yaml", "steps: [")])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/is neither YAML nor JSON: [^\n]+ at line 1, column 9:\n\nsteps: \[\n +\^\n$/),
    });
    const misspelt = file(
      "misspelt.yaml",
      "steps:\n  - { drvier: echo }\n  - { driver: echo, dependsOn: [nowhere] }\n",
    );
    expect((await ergon(["plan", "run", misspelt])).err.split("\n").slice(1, -1)).toEqual([
      "  steps[0].drvier: no such field; did you mean driver?",
      expect.stringMatching(/^ {2}steps\[0\]\.driver: /),
      expect.stringMatching(/^ {2}steps\[1\]\.dependsOn: refers to step "nowhere"/),
    ]);
  });

  test("standard input is a file too; a plan or a schedule that an id does not lead to is not found, whatever has the id", async ({
    ergon,
  }) => {
    expect(await ergon(["plan", "run", "-", "--wait"], '[{"id": "a", "driver": "echo", "payload": 7}]')).toMatchObject({
      code: 0,
      out: '{"a":7}',
    });
    await ergon(["submit", "echo", "hello", "--id", "no-plan", "--wait"]);
    for (const kind of ["plan", "schedule"])
      expect(await ergon([kind, "show", "no-plan"])).toMatchObject({
        code: 3,
        err: expect.stringMatching(`^ergon: TASK_NOT_FOUND: no-plan is a task, not a ${kind};`),
      });
  });
});

test(
  "ten thousand steps run to their end on a server with its default limits",
  { timeout: 300_000 },
  async ({ dev }) => {
    const client = await connect({ nats: { servers: dev.env["NATS_URL"] ?? "" } });
    try {
      const steps = Array.from({ length: 10_000 }, () => ({ driver: "noop" }));
      const one = await client.plan(plan(steps, { mode: "parallel", limit: 100 }), { id: "large" });

      expect(await one.wait()).toMatchObject({ status: "succeeded", counts: { succeeded: 10_000 } });
    } finally {
      await client.close();
    }
  },
);
