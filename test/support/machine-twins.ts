// A machine run twice over the same steps: on XState itself, and on Ergon's engine with a crash after every step.
import { defineMachine, type Machine } from "@ergon/core";
import { createManualClock, createTestInstance } from "@ergon/core/testing";
import { createActor, type AnyStateMachine, type EventFromLogic } from "xstate";

/** An event, or milliseconds that pass. */
export type Step = { readonly type: string; readonly [field: string]: unknown } | number;

/** How a machine stands after a step. */
interface Standing {
  readonly after: Step | "start";
  readonly snapshot: unknown;
}

export interface Course {
  readonly standings: readonly Standing[];
  readonly emitted: readonly unknown[];
}

export interface CourseOptions {
  readonly input?: unknown;
}

export async function onXState(
  machine: AnyStateMachine,
  steps: readonly Step[],
  { input }: CourseOptions = {},
): Promise<Course> {
  const clock = createManualClock();
  const actor = createActor(machine, {
    ...(input === undefined ? {} : { input }),
    clock: { setTimeout: (run, ms) => clock.after(ms, run), clearTimeout: (timer) => clock.cancel(timer) },
  });
  const emitted: unknown[] = [];
  actor.on("*", (event) => emitted.push(event));
  actor.subscribe({ error: () => undefined });
  actor.start();
  await clock.settle();
  const standings: Standing[] = [{ after: "start", snapshot: standing(actor.getPersistedSnapshot()) }];
  for (const step of steps) {
    if (typeof step === "number") await clock.advance(step);
    else if (actor.getSnapshot().status === "active") actor.send(step as EventFromLogic<AnyStateMachine>);
    await clock.settle();
    standings.push({ after: step, snapshot: standing(actor.getPersistedSnapshot()) });
  }
  actor.stop();
  return { standings, emitted };
}

export async function onErgon(
  machine: AnyStateMachine,
  steps: readonly Step[],
  { input, machines = [] }: CourseOptions & { readonly machines?: readonly Machine[] } = {},
): Promise<Course> {
  const instance = await createTestInstance(defineMachine(machine, { name: "twin" }), {
    input,
    machines,
    crashEachStep: true,
  });
  const snapshot = (): unknown => standing(machine.getPersistedSnapshot(instance.snapshot()));
  const standings: Standing[] = [{ after: "start", snapshot: snapshot() }];
  for (const step of steps) {
    if (typeof step === "number") await instance.advance(step);
    else if (instance.view().status === "running" && instance.can(step)) await instance.send(step);
    standings.push({ after: step, snapshot: snapshot() });
  }
  const { emitted } = instance;
  instance.close();
  return { standings, emitted };
}

/** What of a snapshot is the machine's: what it is in, what it keeps, how it and its actors have ended. */
function standing(persisted: unknown): unknown {
  const { status, value, context, output, error, children = {} } = persisted as Record<string, unknown>;
  const inside = Object.entries(children as Record<string, { snapshot: unknown; systemId?: string }>).map(
    ([id, { snapshot, systemId }]) => [id, { systemId, ...(standing(snapshot) as object) }],
  );
  const said = status === "error" && error instanceof Error ? error.message : error;
  // A copy, since XState goes on with the objects that it answers.
  return structuredClone({
    status,
    value,
    context,
    output,
    error: said,
    children: Object.fromEntries(inside) as unknown,
  });
}
