// The test kit for users' machines: it passes what is durable, and shows what is not.
import { defineMachine, driver, machine, type Machine } from "@ergon/core";
import { taskMachine } from "@ergon/core/engine";
import { ExplorationError, createTestInstance, explore } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";
import { assign, createMachine, fromPromise, sendParent, sendTo, setup } from "xstate";

interface Order {
  readonly amount: number;
  receipt?: string;
  approver?: string;
  reason?: string;
}

/** Asks somebody, and reminds him every day, three times at most. */
const approval = defineMachine(
  setup({ types: {} as { context: { reminders: number }; input: { amount: number } } }).createMachine({
    id: "approval",
    context: { reminders: 0 },
    initial: "open",
    states: {
      open: {
        after: {
          86_400_000: [
            { guard: ({ context }) => context.reminders >= 2, target: "expired" },
            {
              target: "open",
              reenter: true,
              actions: [
                assign({ reminders: ({ context }) => context.reminders + 1 }),
                sendParent({ type: "reminded" }),
              ],
            },
          ],
        },
        on: { answer: "given" },
      },
      given: { type: "final" },
      expired: { type: "final" },
    },
    output: ({ context }) => ({ reminders: context.reminders }),
  }),
);

const orderLogic = setup({
  types: {} as {
    context: Order & { reminders: number };
    input: { amount: number };
    events: { type: "confirm" } | { type: "approve"; by: string } | { type: "cancel" } | { type: "reminded" };
  },
  actors: {
    pay: driver<{ amount: number }, { receipt: string }>("payments"),
    refund: driver<{ receipt: string }>("refunds"),
    approval: machine<{ amount: number }>("approval"),
  },
}).createMachine({
  id: "order",
  context: ({ input }) => ({ amount: input.amount, reminders: 0 }),
  initial: "draft",
  states: {
    draft: {
      on: {
        confirm: [{ guard: ({ context }) => context.amount > 100, target: "approving" }, { target: "paying" }],
        cancel: "cancelled",
      },
      after: { 3_600_000: "cancelled" },
    },
    approving: {
      invoke: { id: "approval", src: "approval", input: ({ context }) => ({ amount: context.amount }), onDone: "late" },
      on: {
        approve: { target: "paying", actions: assign({ approver: ({ event }) => event.by }) },
        reminded: { actions: assign({ reminders: ({ context }) => context.reminders + 1 }) },
        cancel: "cancelled",
      },
    },
    paying: {
      invoke: {
        src: "pay",
        input: ({ context }) => ({ amount: context.amount }),
        onDone: { target: "paid", actions: assign({ receipt: ({ event }) => event.output.receipt }) },
        onError: {
          target: "refused",
          actions: assign({ reason: ({ event }) => (event.error as { code: string }).code }),
        },
      },
    },
    paid: { after: { 60_000: "shipped" }, on: { cancel: "refunding" } },
    refunding: {
      invoke: {
        src: "refund",
        input: ({ context }) => ({ receipt: context.receipt ?? "" }),
        onDone: "cancelled",
        onError: "paid",
      },
    },
    shipped: { type: "final" },
    late: { type: "final" },
    refused: { type: "final" },
    cancelled: { type: "final" },
  },
  output: ({ context }) => context.receipt,
});
const order = defineMachine(orderLogic);

const events = [{ type: "confirm" }, { type: "approve", by: "Ann" }, { type: "cancel" }];
const agents = {
  payments: [{ output: { receipt: "r-1" } }, { error: { code: "DECLINED" } }],
  refunds: [{ output: "ok" }, { error: { code: "TOO_LATE" } }],
};

describe("explore", () => {
  test("an order with payment, approval, timers and a durable child ends as it does without crashes", async () => {
    const small = await explore(order, { input: { amount: 5 }, events, agents, machines: [approval] });
    const large = await explore(order, { input: { amount: 500 }, events, agents, machines: [approval] });
    const endsOf = ({ ends }: typeof small): unknown[] =>
      [...new Set(ends.map((end) => String(end["test"]?.value)))].toSorted((a, b) => a.localeCompare(b));
    expect(endsOf(small)).toEqual(["cancelled", "refused", "shipped"]);
    expect(endsOf(large)).toEqual(["cancelled", "late", "refused", "shipped"]);
    expect(large.runs).toBeGreaterThan(10 * large.paths);
  });

  test("an order that clients cancel anywhere takes the event, and decides", async () => {
    const { ends } = await explore(order, {
      input: { amount: 5 },
      events: [{ type: "confirm" }],
      agents,
      cancel: true,
    });
    expect(ends.map((end) => [end["test"]?.status, end["test"]?.value])).toContainEqual(["cancelled", "paying"]);
  });

  test("the machine of tasks comes to the same ends whatever crashes", async () => {
    const spec = { id: "t", driver: "work", payload: Buffer.from("x"), options: { retry: { maxAttempts: 2 } } };
    const answer = { attempt: 1, agent: "a" };
    const { ends, states } = await explore(taskMachine, {
      input: { spec, at: 1_767_225_600_000, chance: 0.5, agent: undefined },
      events: [
        { type: "start", agent: "a" },
        { type: "succeeded", response: Buffer.from("y"), ...answer },
        { type: "failed", failure: { code: "E", message: "m", retryable: true }, ...answer },
        { type: "cancel", by: "c", reason: "" },
      ],
      depth: 6,
    });
    expect(states).toBeGreaterThan(8);
    expect(new Set(ends.map((end) => end["test"]?.value))).toEqual(new Set(["succeeded", "failed", "cancelled"]));
  });

  test("the ways that are longer than the depth are listed, and reaching no end is a failure", async () => {
    const counter = defineMachine(
      createMachine({
        id: "counter",
        context: { n: 0 },
        initial: "on",
        states: {
          on: {
            always: { guard: ({ context }) => context.n >= 4, target: "off" },
            on: { up: { actions: assign({ n: ({ context }) => context.n + 1 }) }, stop: "off" },
          },
          off: { type: "final" },
        },
      }),
    );
    const up = { type: "up" };
    const whole = await explore(counter, { events: [up], depth: 4 });
    expect(whole.ends).toHaveLength(1);
    expect(whole.cut).toEqual([]);
    const part = await explore(counter, { events: [up, { type: "stop" }], depth: 2 });
    expect(part.ends.length).toBeGreaterThan(0);
    expect(part.cut).toEqual(["start, send { type: 'up' }, send { type: 'up' }"]);
    await expect(explore(counter, { events: [up], depth: 2 })).rejects.toThrow(
      /none of 3 paths came to an end, and 1 were cut after 2 moves.*start, send { type: 'up' }, send { type: 'up' }/s,
    );
    await expect(explore(counter, { events: [] })).rejects.toThrow("none of 1 paths came to an end: give the events");
  });

  describe("shows a machine that", () => {
    const violationsOf = async (found: Machine, options: Parameters<typeof explore>[1] = {}): Promise<string> => {
      const error: unknown = await explore(found, options).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(ExplorationError);
      return (error as ExplorationError).message;
    };

    test("explore shows a machine that counts in a variable beside its context", async () => {
      let orders = 0;
      const counting = defineMachine(
        createMachine({
          id: "counting",
          context: { number: 0 },
          on: { GO: { guard: ({ context }) => context.number === 0, actions: assign({ number: () => ++orders }) } },
        }),
      );
      const message = await violationsOf(counting, { events: [{ type: "GO" }] });
      expect(message).toMatch(
        /1\. start\n {2}2\. send \{ type: 'GO' \} {3}<- the node died before commit 2\nexpected: /,
      );
      expect(message).toContain("number: 1");
    });

    test("explore shows a machine that keeps something that a record cannot hold", async () => {
      const keeping = defineMachine(
        createMachine({
          id: "keeping",
          context: { at: undefined as unknown },
          on: { GO: { actions: assign({ at: () => new Map() }) } },
        }),
      );
      expect(await violationsOf(keeping, { events: [{ type: "GO" }] })).toContain("context.at: an instance of Map");
    });

    test("explore shows a machine that does something in the node that differs when it is done again", async () => {
      let runs = 0;
      const doing = defineMachine(
        setup({ actors: { local: fromPromise(() => Promise.resolve(++runs)) } }).createMachine({
          id: "doing",
          context: { runs: 0 },
          initial: "a",
          states: {
            a: {
              invoke: { src: "local", onDone: { target: "b", actions: assign({ runs: ({ event }) => event.output }) } },
            },
            b: {},
          },
        }),
      );
      expect(await violationsOf(doing)).toContain("context: { runs:");
    });
  });

  test("explore asks for what it lacks", async () => {
    await expect(explore(order, { input: { amount: 5 }, events })).rejects.toThrow(
      'no answers for the driver "payments"',
    );
    const counter = createMachine({
      id: "counter",
      context: { n: 0 },
      on: { INC: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
    });
    await expect(
      explore(defineMachine(counter), { events: [{ type: "INC" }], states: 10, depth: 100 }),
    ).rejects.toThrow("more than 10 states");
  });
});

describe("a test instance", () => {
  test("a test instance is stepped by events, time, answers and crashes", async () => {
    const instance = await createTestInstance(order, { input: { amount: 5 } });
    await expect(instance.send({ type: "approve", by: "x" })).rejects.toMatchObject({ code: "EVENT_NOT_ACCEPTED" });
    await instance.send({ type: "confirm" }, { eventId: "once" });
    await instance.send({ type: "confirm" }, { eventId: "once" });
    await instance.crash();
    expect(instance.tasks).toMatchObject([{ instance: "test", driver: "payments", payload: { amount: 5 } }]);
    await instance.tasks[0]?.succeed({ receipt: "r-5" });
    expect(instance.view()).toMatchObject({ state: "paid", context: { receipt: "r-5" } });
    await instance.advance(59_999);
    expect(instance.view()).toMatchObject({ state: "paid" });
    await instance.crash();
    await instance.advance(1);
    expect(instance.view()).toMatchObject({ status: "succeeded", output: "r-5" });
    await expect(instance.send({ type: "cancel" })).rejects.toMatchObject({ code: "TASK_ENDED" });
    instance.close();
  });

  test("a test instance has fake agents, and durable children that one can look at", async () => {
    const instance = await createTestInstance(order, {
      input: { amount: 500 },
      machines: [approval],
      agents: {
        payments: (payload) => {
          throw Object.assign(new Error("no"), { code: `DECLINED_${(payload as { amount: number }).amount}` });
        },
      },
    });
    await instance.send({ type: "confirm" });
    const [child] = instance.children;
    expect(child).toMatchObject({ machine: "approval" });
    await instance.advance(86_400_000);
    expect(instance.view(child?.id)).toMatchObject({ state: "open", context: { reminders: 1 } });
    expect(instance.view()).toMatchObject({ state: "approving", context: { reminders: 1 } });
    expect(instance.outbox).toEqual([]);
    await instance.send({ type: "approve", by: "Ann" });
    expect(instance.view(child?.id)).toMatchObject({ status: "cancelled" });
    expect(instance.view()).toMatchObject({
      status: "succeeded",
      state: "refused",
      context: { reason: "DECLINED_500" },
    });
    instance.close();
  });

  test("a test instance hears of a child's end by its messages, in order", async () => {
    const child = createMachine({
      id: "child",
      entry: [sendParent({ type: "ONE" }), sendParent({ type: "TWO" })],
      on: { END: ".end" },
      initial: "on",
      states: { on: {}, end: { type: "final" } },
    });
    const parent = setup({ actors: { child: machine("child") } }).createMachine({
      context: { heard: [] as string[] },
      invoke: {
        src: "child",
        id: "kid",
        onDone: { actions: assign({ heard: ({ context }) => [...(context["heard"] as string[]), "done"] }) },
      },
      on: {
        END: { actions: sendTo("kid", { type: "END" }) },
        "*": { actions: assign({ heard: ({ context, event }) => [...(context["heard"] as string[]), event.type] }) },
      },
    });
    const instance = await createTestInstance(defineMachine(parent, { name: "parent" }), {
      machines: [defineMachine(child)],
      crashEachStep: true,
    });
    await instance.send({ type: "END" });
    expect(instance.view().context).toEqual({ heard: ["ONE", "TWO", "done"] });
    instance.close();
  });
});
