// An instance in its tenth life stands as in a process that never died, whatever its context refers to.
import { driver } from "@ergon/core";
import { createTestInstance } from "@ergon/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  assign,
  createActor,
  createMachine,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stopChild,
  type AnyActorRef,
} from "xstate";

interface Context {
  refs: AnyActorRef[];
  said: string[];
}
interface Ask {
  readonly type: string;
  readonly k: number;
}

/** Says, when it is asked, who it is and how often it was asked; ends when it is told to. Has a child of its own. */
const item = setup({
  types: {} as { context: { k: number; asked: number; child?: AnyActorRef }; input: number },
  actors: { leaf: createMachine({ on: { hello: { actions: sendParent({ type: "leaf" }) } } }) },
}).createMachine({
  id: "item",
  context: ({ input, spawn }) => ({ k: input, asked: 0, child: spawn("leaf") }),
  initial: "on",
  states: {
    on: {
      on: {
        ask: {
          actions: [
            assign({ asked: ({ context }) => context.asked + 1 }),
            sendParent(({ context, self }) => ({ type: "said", text: `${context.k} ${context.asked} of ${self.id}` })),
          ],
        },
        below: { actions: sendTo(({ context }) => context.child as AnyActorRef, { type: "hello" }) },
        leaf: { actions: sendParent(({ context }) => ({ type: "said", text: `the leaf of ${context.k}` })) },
        finish: "off",
      },
    },
    off: { type: "final" },
  },
  output: ({ context }) => context.k,
});

const keeper = setup({
  types: {} as { context: Context; events: Ask & { text?: string } },
  actors: { item },
}).createMachine({
  id: "keeper",
  context: { refs: [], said: [] },
  on: {
    unnamed: {
      actions: assign({
        refs: ({ context, spawn }) => [...context.refs, spawn("item", { input: context.refs.length })],
      }),
    },
    named: {
      actions: assign({
        refs: ({ context, spawn }) => [...context.refs, spawn("item", { id: "same", input: context.refs.length })],
      }),
    },
    action: { actions: spawnChild("item", { input: 1_000 }) },
    stop: { actions: stopChild(({ context, event }) => context.refs[event.k] as AnyActorRef) },
    ask: { actions: sendTo(({ context, event }) => context.refs[event.k] as AnyActorRef, { type: "ask" }) },
    below: { actions: sendTo(({ context, event }) => context.refs[event.k] as AnyActorRef, { type: "below" }) },
    finish: { actions: sendTo(({ context, event }) => context.refs[event.k] as AnyActorRef, { type: "finish" }) },
    later: {
      actions: sendTo(({ context, event }) => context.refs[event.k] as AnyActorRef, { type: "ask" }, { delay: 1 }),
    },
    forget: { actions: assign({ refs: ({ context, event }) => context.refs.toSpliced(event.k, 1) }) },
    said: { actions: assign({ said: ({ context, event }) => [...context.said, event.text ?? ""] }) },
    "xstate.done.actor.*": {
      actions: assign({
        said: ({ context, event }) => [
          ...context.said,
          `${event.type} ${(event as unknown as { output: number }).output}`,
        ],
      }),
    },
  },
});

/** What a machine can see of what it refers to. */
function seen({ refs, said }: Context): unknown {
  const all = refs.map((ref) => {
    const { status, context, output } = ref.getSnapshot() as {
      status: string;
      context: { k: number };
      output: unknown;
    };
    return { id: ref.id, status, k: context.k, output, same: refs.indexOf(ref) };
  });
  return { all, said };
}

type Move = readonly [type: string, k: number];
const moves = fc.array(
  fc.tuple(
    fc.constantFrom("unnamed", "named", "action", "stop", "ask", "below", "finish", "later", "forget", "die"),
    fc.nat(5),
  ),
  { minLength: 3, maxLength: 25 },
);

async function live(steps: readonly Move[], crashEachStep: boolean): Promise<unknown[]> {
  const instance = await createTestInstance(keeper, { crashEachStep });
  const standings: unknown[] = [];
  for (const [type, k] of steps) {
    const { refs } = instance.snapshot().context as Context;
    const spawns = type === "unnamed" || type === "named" || type === "action";
    if (type === "die") await instance.crash();
    else if (spawns || k < refs.length) await instance.send({ type, k });
    await instance.advance(1);
    standings.push(seen(instance.snapshot().context as Context));
  }
  instance.close();
  return standings;
}

test("an actor that a context refers to behaves after each crash as without one: living, stopped and replaced children", async () => {
  await fc.assert(
    fc.asyncProperty(moves, async (steps) => {
      const calm = await live(
        steps.filter(([type]) => type !== "die"),
        false,
      );
      const dying = await live(
        steps.filter(([type]) => type !== "die"),
        true,
      );
      expect(dying).toEqual(calm);
      const some = await live(steps, false);
      expect(some.at(-1)).toEqual(calm.at(-1) ?? some.at(-1));
    }),
    { numRuns: 60 },
  );
});

test("children that are spawned without a name in several lives have different ids", async () => {
  const nursery = setup({
    types: {} as { context: { refs: AnyActorRef[] } },
    actors: { idle: createMachine({}) },
  }).createMachine({
    id: "nursery",
    context: { refs: [] },
    on: {
      spawn: { actions: assign({ refs: ({ context, spawn }) => [...context.refs, spawn("idle")] }) },
      leaveOne: {
        actions: [
          ...[0, 1].map((k) =>
            stopChild(({ context }: { context: { refs: AnyActorRef[] } }) => context.refs[k] as AnyActorRef),
          ),
          assign({ refs: ({ context }) => context.refs.slice(-1) }),
        ],
      },
    },
  });
  const instance = await createTestInstance(nursery);
  const ids: string[] = [];
  for (let life = 0; life < 5; life++) {
    for (let n = 0; n < 3; n++) await instance.send({ type: "spawn" });
    const { refs } = instance.snapshot().context as { refs: AnyActorRef[] };
    ids.push(...refs.slice(-3).map(({ id }) => id));
    await instance.send({ type: "leaveOne" });
    await instance.crash();
  }
  expect(new Set(ids).size).toBe(15);
  instance.close();
});

test("tasks that are spawned without a name in several lives are each heard of", async () => {
  const machine = setup({ actors: { job: driver<number>("work") } }).createMachine({
    id: "spawner",
    context: { done: 0, jobs: 0 },
    on: {
      assigned: {
        actions: assign({
          jobs: ({ context, spawn }) => {
            spawn("job", { input: 1 });
            return Number(context["jobs"]) + 1;
          },
        }),
      },
      action: { actions: spawnChild("job", { input: 2 }) },
      "xstate.done.actor.*": { actions: assign({ done: ({ context }) => Number(context["done"]) + 1 }) },
    },
  });
  const instance = await createTestInstance(machine);
  for (let life = 0; life < 3; life++) {
    for (const type of ["assigned", "action", "assigned", "action"]) await instance.send({ type });
    await instance.crash();
  }
  expect(instance.tasks).toHaveLength(12);
  for (const task of instance.tasks) await task.succeed();
  expect(instance.snapshot().context).toMatchObject({ done: 12 });
  instance.close();
});

test("a reference to an actor of another system is refused by name, and nothing has happened", async () => {
  const stranger = createActor(item, { input: 1 });
  const instance = await createTestInstance(
    createMachine({
      id: "holder",
      context: { ref: undefined as unknown, n: 0 },
      on: {
        KEEP: { actions: assign({ ref: () => stranger }) },
        COUNT: { actions: assign({ n: ({ context }) => context.n + 1 }) },
      },
    }),
  );
  await expect(instance.send({ type: "KEEP" })).rejects.toMatchObject({
    code: "NOT_SERIALISABLE",
    message: expect.stringContaining("context.ref: a reference to an actor that is not of this instance") as string,
  });
  await instance.send({ type: "COUNT" });
  expect(instance.snapshot().context).toMatchObject({ n: 1 });
  instance.close();
});

test("an ended actor leaves the record with the last reference to it", async () => {
  const instance = await createTestInstance(keeper);
  const before = instance.recordBytes;
  for (let n = 0; n < 5; n++) {
    await instance.send({ type: "unnamed", k: 0 });
    await instance.send({ type: "stop", k: 0 });
    await instance.crash();
    await instance.send({ type: "forget", k: 0 });
  }
  expect(instance.recordBytes).toBeLessThan(before + 200);
  instance.close();
});
