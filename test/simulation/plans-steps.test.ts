import { defineMachine, machine, plan, type StepDefinition } from "@ergon/core";
import { describe, expect, test } from "vitest";
import { createMachine, setup } from "xstate";

import { job, run, stage, undoable } from "../support/plan-stage.ts";

describe("a step", () => {
  test("a step may be a task with an id and a record of its own, or all of a plan's are", async () => {
    const { cluster } = await stage();
    const client = cluster.client();
    const alone = await run(cluster, plan([job("a", { standalone: true }), job("b")]), "alone");
    const all = await run(cluster, plan([undoable("c"), job("d")], { standalone: true }), "all");

    expect([alone.status, all.status]).toEqual(["succeeded", "succeeded"]);
    expect(await cluster.drive(client.get("alone_1"))).toMatchObject({
      driver: "work",
      correlationId: "alone",
      status: "succeeded",
    });
    await expect(cluster.drive(client.get("alone_2"))).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    expect(await cluster.drive(client.get("all_2"))).toMatchObject({ driver: "work", status: "succeeded" });
  });

  test("a step may be an instance of a machine, whose output it has; one that cannot be started fails it", async () => {
    const double = setup({ types: {} as { input: { n: number }; context: { n: number } } }).createMachine({
      id: "double",
      context: ({ input }) => ({ n: input.n * 2 }),
      initial: "waiting",
      states: { waiting: { after: { 1_000: "done" } }, done: { type: "final" } },
      output: ({ context }) => context.n,
    });
    const { cluster } = await stage({ machines: [defineMachine(double)] });
    const steps: StepDefinition[] = [
      { id: "a", machine: "double", input: { n: "${input}" } },
      { id: "b", machine: "double", input: { n: "${steps.a.output}" } },
    ];

    expect(await run(cluster, plan(steps, { input: 5, output: "${steps.b.output}" }), "machines")).toMatchObject({
      output: 20,
    });
    expect(await run(cluster, plan([{ machine: "nobody-knows" }]), "unknown")).toMatchObject({
      status: "failed",
      failure: { code: "MACHINE_NOT_FOUND" },
    });
  });

  test("a step that answers more than a plan can hand on fails, and is undone", async () => {
    const { cluster, done } = await stage();
    await cluster.addAgent("a2", { driver: "verbose", handler: () => ({ text: "x".repeat(300_000) }) });
    const steps: StepDefinition[] = [
      { ...undoable("a"), driver: "verbose" } as StepDefinition,
      job("b", { payload: { name: "b", of: "${steps.a.output.text}" } }),
    ];

    expect(await run(cluster, plan(steps), "verbose")).toMatchObject({
      status: "failed",
      failure: { code: "RESPONSE_TOO_LARGE" },
    });
    expect(done).toEqual(["undo a"]);
    // What nobody asks for is not kept, and does no harm.
    expect(await run(cluster, plan(steps.slice(0, 1)), "verbose-2")).toMatchObject({
      status: "succeeded",
      steps: [{ status: "succeeded", outputBytes: 300_011 }],
    });
  });

  test("a step whose references blow up is not sent, and its plan is not answered with them", async () => {
    const { cluster, done } = await stage();
    const many = "${steps.a.output.text}".repeat(100);
    await cluster.addAgent("a2", { driver: "verbose", handler: () => ({ text: "x".repeat(50_000) }) });
    const first = { ...undoable("a"), driver: "verbose" } as StepDefinition;

    expect(await run(cluster, plan([first, job("b", { payload: { name: many } })]), "bomb")).toMatchObject({
      status: "failed",
      failure: { code: "PAYLOAD_TOO_LARGE" },
    });
    expect(await run(cluster, plan([first], { output: many }), "bomb-2")).toMatchObject({
      status: "failed",
      failure: { code: "RESPONSE_TOO_LARGE", message: expect.stringMatching(/^output: /) },
    });
    expect(done).toEqual(["undo a", "undo a"]);
  });

  test("a step is called as it likes", async () => {
    const { cluster } = await stage();
    const names = ["constructor", "toString", "hasOwnProperty", "_", "-"];

    expect(await run(cluster, plan(names.map((name) => job(name))), "names")).toMatchObject({
      counts: { succeeded: 5 },
    });
  });
});

test("a compensation that fails in a plan of the plan leaves all before it undone, named by both", async () => {
  const { cluster, done, broken } = await stage();
  for (const name of ["d", "undo b"]) broken.add(name);

  const view = await run(
    cluster,
    plan([undoable("a"), { id: "in", plan: [undoable("b"), undoable("c")] }, job("d")]),
    "undone",
  );

  expect(done).toEqual(["a", "b", "c", "undo c"]);
  expect(view).toMatchObject({
    status: "failed",
    undone: ["in.b", "a"],
    failure: { message: "d is broken; left undone: in.b, a" },
  });
});

test("a plan that was ended by force while it was held cannot be undone: the outer one says so", async () => {
  const { cluster, done, broken } = await stage();
  broken.add("d");
  const client = cluster.client();
  const one = await cluster.drive(
    client.plan(
      plan([
        undoable("a"),
        { id: "in", plan: [undoable("b")] },
        job("c", { payload: { name: "c", ms: 5_000 } }),
        job("d"),
      ]),
      { id: "forced" },
    ),
  );
  await cluster.clock.advance(2_000);
  await cluster.drive(client.end("forced_2"));

  expect(await cluster.drive(one.wait())).toMatchObject({ status: "failed", undone: ["in", "a"] });
  expect(done).toEqual(["a", "b", "c"]);
});

test("a retry continues inside a plan of the plan too, at any depth (B-69, M-25)", async () => {
  const { cluster, done, broken } = await stage();
  broken.add("d");
  const deepest = plan([job("c"), job("d", { payload: { name: "d", of: "${input}" } })], { input: "nothing" });
  const inner = plan([job("b"), { id: "deep", plan: deepest, input: "${input.n}" }], {
    output: "${steps.deep.output}",
  });
  const outer = plan([job("a"), { id: "in", plan: inner, input: { n: "${steps.a.output.name}" } }, job("e")]);
  expect(await run(cluster, outer, "deep")).toMatchObject({
    status: "failed",
    failure: { code: "BROKEN", message: "d is broken" },
    steps: [{ status: "succeeded" }, { status: "failed", error: { step: "deep.d" } }, { status: "skipped" }],
  });

  broken.clear();
  const again = await cluster.drive(cluster.client().instance("deep").retry());

  expect(await cluster.drive(again.wait())).toMatchObject({
    status: "succeeded",
    output: { in: { c: { name: "c" }, d: { name: "d" } } },
  });
  expect(done).toEqual(["a", "b", "c", "d", "e"]);
});

test("a machine that leaves the state in which it invokes a plan has that undone", async () => {
  const shop = createMachine({
    id: "shop",
    initial: "ordering",
    states: {
      ordering: {
        invoke: {
          src: machine("plan"),
          input: plan([undoable("a"), job("b", { payload: { name: "b", ms: 60_000 }, cancelGrace: "1s" })]),
        },
        on: { leave: "left" },
      },
      left: { after: { 10_000: "closed" } },
      closed: { type: "final" },
    },
  });
  const { cluster, done } = await stage({ machines: [defineMachine(shop)] });
  const one = await cluster.drive(cluster.client().start("shop", undefined, { id: "shop-1" }));
  await cluster.clock.advance(2_000);

  await cluster.drive(one.send({ type: "leave" }));
  await cluster.drive(one.wait());

  expect(done).toEqual(["a", "undo a"]);
  expect(await cluster.drive(cluster.client().get("shop-1_1"))).toMatchObject({ status: "cancelled" });
});

test("a client may not send the messages that plans send each other", async () => {
  const { cluster } = await stage();
  const one = await cluster.drive(
    cluster.client().plan(plan([job("a", { payload: { name: "a", ms: 60_000 } })]), { id: "private" }),
  );

  await expect(cluster.drive(one.send({ type: "ergon.plan.close" }))).rejects.toMatchObject({ code: "INVALID_BODY" });
  expect((await cluster.drive(one.can())).events).toEqual(["cancel"]);
});
