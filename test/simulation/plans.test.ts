import { describePlan, plan, type PlanDefinition, type StepDefinition } from "@ergon/core";
import { describe, expect, test } from "vitest";

import { job, run, stage, statuses, undoable } from "../support/plan-stage.ts";

test("five steps in a sequence cost six writes: the first dispatch is stored with the plan, each other with the answer before it", async () => {
  const { cluster } = await stage();
  const steps = Array.from({ length: 5 }, (_, n) => job(`s${n}`));
  // The nodes know the agent, and have slots of it.
  for (const id of ["p-1", "p-2", "p-3", "p-4"]) await run(cluster, plan(steps), id);
  const before = cluster.writes.records;

  const view = await run(cluster, plan(steps), "p-5");

  expect(view).toMatchObject({ status: "succeeded", counts: { succeeded: 5 } });
  expect(cluster.writes.records - before).toBe(6);
});

describe("a fair plan", () => {
  test("a fair plan runs its steps one after the other, in their order (B-40)", async () => {
    const { cluster, done, most } = await stage();
    const view = await run(
      cluster,
      plan([job("t0", { payload: { name: "t0", ms: 500 } }), job("t1"), job("t2")]),
      "fair-1",
    );

    expect(done).toEqual(["t0", "t1", "t2"]);
    expect(most()).toBe(1);
    expect(view).toMatchObject({
      status: "succeeded",
      output: { t0: { name: "t0" }, t1: { name: "t1" }, t2: { name: "t2" } },
    });
  });

  test("a fair plan stops at the first failure: the steps after it are never started (B-41)", async () => {
    const { cluster, done, broken } = await stage();
    broken.add("t1");

    const view = await run(cluster, plan([job("t0"), job("t1"), job("t2")]), "fair-2");

    expect(done).toEqual(["t0"]);
    expect(view).toMatchObject({ status: "failed", failure: { code: "BROKEN", message: "t1 is broken" } });
    expect(statuses(view)).toEqual({ t0: "succeeded", t1: "failed", t2: "skipped" });
  });

  test("a fair plan resumes at its first step that has not succeeded, as a new plan that names its origin (B-69, M-25)", async () => {
    const { cluster, done, broken } = await stage();
    const client = cluster.client();
    broken.add("t1");
    await run(
      cluster,
      plan([job("t0"), job("t1"), job("t2", { payload: { name: "t2 after ${steps.t0.output.name}" } })]),
      "fair-3",
    );
    broken.clear();

    const again = await cluster.drive(client.instance("fair-3").retry({ id: "fair-3-r2" }));
    const view = await cluster.drive(again.wait());

    expect(view).toMatchObject({ id: "fair-3-r2", status: "succeeded", origin: "fair-3" });
    expect(done).toEqual(["t0", "t1", "t2 after t0"]);
    expect(statuses(view)).toEqual({ t0: "succeeded", t1: "succeeded", t2: "succeeded" });
    await expect(cluster.drive(again.retry())).rejects.toMatchObject({ code: "TASK_NOT_FAILED" });
  });
});

describe("an unfair plan", () => {
  test("an unfair plan runs its steps at once, isolates failures, and has a status that derives from them (B-42)", async () => {
    const { cluster, done, broken, most } = await stage();
    broken.add("t1");
    const steps = ["t0", "t1", "t2", "t3"].map((name) => job(name, { payload: { name, ms: 100 } }));

    const view = await run(cluster, plan(steps, { mode: "parallel" }), "unfair-1");

    expect(done.toSorted()).toEqual(["t0", "t2", "t3"]);
    expect(most()).toBe(4);
    expect(view).toMatchObject({ status: "failed", failure: { code: "BROKEN" }, counts: { succeeded: 3, failed: 1 } });
  });

  test("an unfair plan keeps to its limit", async () => {
    const { cluster, most } = await stage();
    const steps = Array.from({ length: 10 }, (_, n) => job(`t${n}`, { payload: { name: `t${n}`, ms: 100 } }));

    expect(await run(cluster, plan(steps, { mode: "parallel", limit: 3 }), "unfair-2")).toMatchObject({
      status: "succeeded",
    });
    expect(most()).toBe(3);
  });

  test("an unfair plan runs only what has failed when it is retried (B-69)", async () => {
    const { cluster, done, broken } = await stage();
    broken.add("t1");
    await run(
      cluster,
      plan(
        ["t0", "t1", "t2"].map((name) => job(name)),
        { mode: "parallel" },
      ),
      "unfair-3",
    );
    broken.clear();
    done.length = 0;

    const again = await cluster.drive(cluster.client().instance("unfair-3").retry());
    const view = await cluster.drive(again.wait());

    expect(done).toEqual(["t1"]);
    expect(view).toMatchObject({ status: "succeeded", output: { t0: { name: "t0" }, t1: { name: "t1" } } });
  });
});

test("two steps of different plans run at the same time (B-50)", async () => {
  const { cluster, most } = await stage();
  const slow = (name: string): PlanDefinition => plan([job(name, { payload: { name, ms: 1_000 } })]);

  const client = cluster.client();
  const both = await cluster.drive(
    Promise.all([client.plan(slow("a"), { id: "one" }), client.plan(slow("b"), { id: "two" })]),
  );
  await cluster.drive(Promise.all(both.map((one) => one.wait())));

  expect(most()).toBe(2);
});

test("a plan that is read lists its steps with the size of their payload in its place (B-43)", async () => {
  const { cluster } = await stage();
  const client = cluster.client();
  const one = await cluster.drive(
    client.plan(plan([job("a"), job("b", { payload: { name: "b", ms: 5_000 } }), job("c", { payload: "secret" })]), {
      id: "read-1",
    }),
  );
  await cluster.clock.advance(1_000);

  const view = await cluster.drive(one.get());

  expect(view.context).toBeUndefined();
  expect(JSON.stringify(view)).not.toContain("secret");
  expect(describePlan(view).steps).toMatchObject([
    { id: "a", status: "succeeded", driver: "work", payloadBytes: 12, output: { name: "a" } },
    { id: "b", status: "running", payloadBytes: 22, child: "read-1~2", task: { status: "started", attempt: 1 } },
    { id: "c", status: "waiting", payloadBytes: 8 },
  ]);
});

test.for<[what: string, definition: unknown, fields: string[]]>([
  ["no step", { steps: [] }, ["steps"]],
  ["too many", { steps: Array.from({ length: 10_001 }, () => ({ driver: "work" })) }, ["steps"]],
  [
    "several faults at once",
    {
      mode: "parallel",
      limit: 0,
      steps: [{ payload: 1 }, { driver: "no name" }, { driver: "work", prioritaet: 1, attemptTimeout: "soon" }],
    },
    ["steps[2].prioritaet", "limit", "steps[0].driver", "steps[1].driver", "steps[2].attemptTimeout"],
  ],
  [
    "faults of fields and of connections in the same go",
    {
      steps: [
        { id: "a", drvier: "x" },
        { id: "a", driver: "x", dependsOn: ["b"], when: { nope: 1 } },
        "none",
        { driver: "x", payload: "${input.a} ${nothing}" },
      ],
    },
    [
      ...["steps[0].drvier", "steps[0].driver", "steps[1].when", "steps[2]"],
      ...["steps[1].id", "steps[1].dependsOn", "steps[3]"],
    ],
  ],
  [
    "a circle",
    {
      steps: [
        { id: "a", driver: "x", dependsOn: ["b"] },
        { id: "b", driver: "x", dependsOn: ["a"] },
      ],
    },
    ["steps"],
  ],
  [
    "65 arguments",
    { steps: [{ driver: "http", arguments: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`a${n}`, ""])) }] },
    ["steps[0].arguments"],
  ],
  [
    "two steps of one id",
    {
      steps: [
        { id: "a", driver: "x" },
        { id: "a", driver: "x" },
      ],
    },
    ["steps[1].id"],
  ],
  [
    "a reference to a later step",
    {
      steps: [
        { driver: "x", payload: "${steps.b.output}" },
        { id: "b", driver: "x" },
      ],
    },
    ["steps[0]"],
  ],
  ["a rule that is none", { steps: [{ driver: "x", when: { nope: 1 } }] }, ["steps[0].when"]],
  ["a fault in a plan of a plan", { steps: [{ plan: [{ driver: "" }] }] }, ["steps[0].plan.steps[0].driver"]],
])(
  "a plan with %s is refused by the names of its fields, and nothing is stored (B-44)",
  async ([, definition, fields]) => {
    const { cluster } = await stage();
    const client = cluster.client();

    const refusal = await cluster.drive(
      client.plan(definition as PlanDefinition, { id: "bad" }).catch((error: unknown) => error),
    );

    expect(refusal).toMatchObject({ kind: "invalid" });
    expect((refusal as { issues: { field: string }[] }).issues.map(({ field }) => field)).toEqual(fields);
    await expect(cluster.drive(client.get("bad"))).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  },
);

test("a step whose payload is too large is refused, never cut (B-47)", async () => {
  const { cluster } = await stage();
  const client = cluster.client();
  const refusal = cluster.drive(client.plan(plan([job("a", { payload: "x".repeat(300_000) })])));

  await expect(refusal).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE", issues: [{ field: "steps[0]" }] });
});

test("input comes from earlier steps and from the plan, values as values and within texts as texts", async () => {
  const { cluster, done } = await stage();
  const steps = [
    job("a", { payload: { name: "${input.first}" } }),
    job("b", { payload: { name: "${steps.a.output.name} and $${b}, ${input.more}" } }),
    job("c", { payload: "${steps.b.output}" }),
  ];

  const view = await run(
    cluster,
    plan(steps, {
      input: { first: "x", more: [1, 2] },
      output: { last: "${steps.c.output.name}", all: "${input.more}" },
    }),
    "refs",
  );

  expect(done).toEqual(["x", "x and ${b}, [1,2]", "x and ${b}, [1,2]"]);
  expect(view.output).toEqual({ last: "x and ${b}, [1,2]", all: [1, 2] });
});

test("a reference that leads to nothing fails its step, and says which", async () => {
  const { cluster } = await stage();
  const view = await run(cluster, plan([job("a"), job("b", { payload: "${steps.a.output.nope}" })]), "lost");

  expect(view).toMatchObject({ status: "failed", failure: { message: "${steps.a.output.nope} leads to nothing" } });
});

test("a step whose condition does not hold is skipped, and those after it are not", async () => {
  const { cluster, done } = await stage();
  const when = (total: number) => ({ "==": [{ var: "steps.a.output.name" }, total === 1 ? "a" : "b"] });

  const view = await run(
    cluster,
    plan([job("a"), job("b", { when: when(2) }), job("c", { when: when(1) }), job("d")]),
    "when",
  );

  expect(done).toEqual(["a", "c", "d"]);
  expect(statuses(view)).toEqual({ a: "succeeded", b: "skipped", c: "succeeded", d: "succeeded" });
});

describe("a graph", () => {
  test("a graph runs each step when those that it depends on, or refers to, are done", async () => {
    const { cluster, done, most } = await stage();
    const slow = (name: string): object => ({ payload: { name, ms: 100 } });
    const steps = [
      job("d", { dependsOn: ["b", "c"] }),
      job("b", { dependsOn: ["a"], ...slow("b") }),
      job("c", { payload: { name: "c", ms: 100, of: "${steps.a.output.name}" } }),
      job("a"),
    ];

    const view = await run(cluster, plan(steps), "graph-1");

    expect(view.status).toBe("succeeded");
    expect([done[0], done.slice(1, 3).toSorted(), done[3]]).toEqual(["a", ["b", "c"], "d"]);
    expect(most()).toBe(2);
  });

  test("a graph continues beside a failure where it is told to, without what depends on it", async () => {
    const { cluster, broken } = await stage();
    broken.add("b");
    const steps = [
      job("a"),
      job("b", { dependsOn: ["a"] }),
      job("c", { dependsOn: ["b"] }),
      job("d", { dependsOn: ["a"] }),
    ];

    const view = await run(cluster, plan(steps, { onFailure: "continue" }), "graph-2");

    expect(statuses(view)).toEqual({ a: "succeeded", b: "failed", c: "skipped", d: "succeeded" });
    expect(view.status).toBe("failed");
  });
});

describe("compensation", () => {
  test("compensation undoes the completed steps in reverse order when a later one fails for good (B-67)", async () => {
    const { cluster, done, broken } = await stage();
    broken.add("d");
    const steps = [
      undoable("a"),
      job("b"),
      undoable("c", { compensate: { driver: "work", payload: { name: "undo ${steps.c.output.name}" } } }),
      undoable("d"),
    ];

    const view = await run(cluster, plan(steps), "saga-1");

    expect(done).toEqual(["a", "b", "c", "undo c", "undo a"]);
    expect(view).toMatchObject({ status: "failed", failure: { code: "BROKEN", message: "d is broken" } });
    expect(statuses(view)).toEqual({ a: "compensated", b: "succeeded", c: "compensated", d: "failed" });

    broken.clear();
    done.length = 0;
    const again = await cluster.drive(cluster.client().instance("saga-1").retry());
    expect(await cluster.drive(again.wait())).toMatchObject({ status: "succeeded" });
    // What was undone is done again, what was not is not.
    expect(done).toEqual(["a", "c", "d"]);
  });

  test("a compensation that fails leaves the plan failed, and the plan names what is left undone (B-67)", async () => {
    const { cluster, done, broken } = await stage();
    for (const name of ["d", "undo b"]) broken.add(name);

    const view = await run(cluster, plan([undoable("a"), undoable("b"), undoable("c"), job("d")]), "saga-2");

    expect(done).toEqual(["a", "b", "c", "undo c"]);
    expect(statuses(view)).toEqual({ a: "succeeded", b: "compensation-failed", c: "compensated", d: "failed" });
    expect(view).toMatchObject({
      status: "failed",
      undone: ["b", "a"],
      failure: { code: "BROKEN", message: "d is broken; left undone: b, a" },
    });
  });

  test("compensation follows a cancel: what runs is stopped, what is done is undone, and the plan is cancelled", async () => {
    const { cluster, done } = await stage();
    const client = cluster.client();
    const one = await cluster.drive(
      client.plan(plan([undoable("a"), undoable("b", { payload: { name: "b", ms: 60_000 } }), undoable("c")]), {
        id: "saga-3",
      }),
    );
    await cluster.clock.advance(1_000);

    await cluster.drive(one.cancel({ by: "ops", reason: "not wanted" }));
    const view = await cluster.drive(one.wait());

    expect(done).toEqual(["a", "undo a"]);
    expect(view).toMatchObject({ status: "cancelled", reason: "by ops: not wanted" });
    expect(statuses(view)).toEqual({ a: "compensated", b: "cancelled", c: "cancelled" });
    await expect(cluster.drive(one.output())).rejects.toMatchObject({ code: "TASK_CANCELLED" });
  });

  test("compensation of a plan in a plan comes when the outer one fails, in reverse order of all", async () => {
    const { cluster, done, broken } = await stage();
    broken.add("e");
    const inner = plan([undoable("b"), undoable("c")], { output: { of: "${steps.c.output.name}" } });
    const steps = [
      undoable("a"),
      { id: "in", plan: inner },
      undoable("d", { payload: { name: "d", of: "${steps.in.output.of}" } }),
      job("e"),
    ];

    const view = await run(cluster, plan(steps), "saga-4");

    expect(done).toEqual(["a", "b", "c", "d", "undo d", "undo c", "undo b", "undo a"]);
    expect(statuses(view)).toEqual({ a: "compensated", in: "compensated", d: "compensated", e: "failed" });
  });

  test("compensation of a plan in a plan comes first when that is cancelled", async () => {
    const { cluster, done } = await stage();
    const client = cluster.client();
    const inner = plan([undoable("b"), job("c", { payload: { name: "c", ms: 60_000 } })]);
    const one = await cluster.drive(client.plan(plan([undoable("a"), { id: "in", plan: inner }]), { id: "saga-5" }));
    await cluster.clock.advance(2_000);

    await cluster.drive(one.cancel());
    const view = await cluster.drive(one.wait());

    expect(done).toEqual(["a", "b", "undo b", "undo a"]);
    expect(view.status).toBe("cancelled");
    expect(statuses(view)).toEqual({ a: "compensated", in: "cancelled" });
  });
});

test("a plan in a plan that has succeeded is let go when the outer one has", async () => {
  const { cluster } = await stage();
  const view = await run(cluster, plan([{ id: "in", plan: [undoable("a")] }, job("b")]), "nest");
  await cluster.clock.advance(2_000);

  expect(view).toMatchObject({ status: "succeeded", output: { in: { a: { name: "a" } }, b: { name: "b" } } });
  expect(await cluster.drive(cluster.client().instance("nest_1").get())).toMatchObject({
    status: "succeeded",
    parent: "nest",
  });
});

test(
  "a plan that is undone ends as it does without a crash, whichever node dies at whichever commit (B-66, I-1)",
  { timeout: 120_000 },
  async () => {
    const steps = [undoable("a"), undoable("b"), { id: "in", plan: [undoable("c")] }, undoable("d"), job("e")];
    const undisturbed = await disturbed(steps, 0, 0);
    expect(undisturbed.order).toEqual(["a", "b", "c", "d", "undo d", "undo c", "undo b", "undo a"]);
    expect(undisturbed.commits).toBeGreaterThan(10);

    for (let commit = 1; commit <= undisturbed.commits; commit++) {
      for (const afterMs of [0, 3]) {
        const { order, statuses: ends, failure } = await disturbed(steps, commit, afterMs);
        expect({ commit, afterMs, order, ends, failure }).toEqual({
          commit,
          afterMs,
          order: undisturbed.order,
          ends: undisturbed.statuses,
          failure: undisturbed.failure,
        });
      }
    }
  },
);

/** Runs a plan whose last step fails, while the node that makes the given commit dies then, or soon afterwards. */
async function disturbed(steps: readonly StepDefinition[], commit: number, afterMs: number) {
  const { cluster, done, broken } = await stage({ seed: commit + 1 });
  broken.add("e");
  let commits = 0;
  cluster.onCommit = (name) => {
    if (++commits !== commit) return;
    const node = cluster.nodes.find((one) => one.name === name);
    if (afterMs === 0) node?.kill();
    else cluster.clock.after(afterMs, () => node?.kill());
  };
  const view = await run(cluster, plan(steps), "crash");
  return { order: [...new Set(done)], statuses: statuses(view), failure: view.failure, commits };
}
