import type { AnyMachineSnapshot } from "xstate";

import { ConflictError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { fromPlain, toPlain } from "../base/plain.ts";
import type { StoredEvent } from "../machines/command.ts";
import { acceptedEvents, canTake, isMachineState, type MachineRecordState } from "../machines/machine-state.ts";
import { hasSeen } from "../machines/seen-events.ts";
import type { Tell } from "../machines/tell.ts";
import type { ManualClock } from "../memory/clock.ts";
import type { Failure } from "../task/task-context.ts";
import { describeMachine, type ChildView, type MachineView } from "../views/machine-view.ts";
import { decodeContent } from "../wire/codec.ts";
import { machineOf, machinesOf, type GivenMachine } from "./given-machine.ts";
import type { AskedTask, Resident } from "./resident.ts";
import { World, startOf, type WorldOptions } from "./world.ts";

/** A fake agent: it returns the task's response, or throws the task's failure. */
export type FakeAgent = (payload: unknown, task: { readonly driver: string; readonly instance: string }) => unknown;

export interface TestInstanceOptions {
  readonly input?: unknown;
  /** @defaultValue "test" */
  readonly id?: string;
  /** The machines that the instance starts as durable children. They run beside it. */
  readonly machines?: readonly GivenMachine[];
  /** Fake agents by driver, which answer at once. Tasks of other drivers wait in {@link TestInstance.tasks}. */
  readonly agents?: Readonly<Record<string, FakeAgent>>;
  /** True drops the instance from memory after each step, and restores it from its record. @defaultValue false */
  readonly crashEachStep?: boolean;
  readonly logger?: Logger;
}

/** A task for which the instance, or one of its durable children, waits. */
export interface TestTask {
  /** The id of the waiting instance. */
  readonly instance: string;
  readonly driver: string;
  /** The payload as a handler would read it. JSON and MessagePack are values, a text is a string, and everything else is bytes. */
  readonly payload: unknown;
  /** Ends the task with a response. The call changes nothing if the task has ended, or if nobody waits for it any more. */
  succeed(response?: unknown): Promise<void>;
  /** Ends the task as failed, after all retries. */
  fail(failure: Partial<Failure>): Promise<void>;
}

/**
 * One instance of a machine with its durable children, on the durable engine in the test's own process. Records are encoded, time stands still
 * unless the test moves it, and nothing needs NATS. Every call resolves when all its results at the present time have happened.
 */
export interface TestInstance {
  readonly id: string;
  readonly clock: ManualClock;
  /** The tasks that wait for an answer, in the order of their starts. */
  readonly tasks: readonly TestTask[];
  /** The durable children that have not ended. */
  readonly children: readonly ChildView[];
  /** The messages to other instances that nobody has received. */
  readonly outbox: readonly Tell[];
  /** The size of the record in bytes. A record must fit into a NATS message, whose limit is the server's `max_payload` (1 MiB by default). */
  readonly recordBytes: number;
  /** The events that the instance and its children have emitted. */
  readonly emitted: readonly StoredEvent[];
  /** Sends an event. Throws `EVENT_NOT_ACCEPTED`, `TASK_ENDED` and `NOT_SERIALISABLE`, like the call of a client. */
  send(event: StoredEvent, options?: { readonly eventId?: string }): Promise<void>;
  can(event: StoredEvent): boolean;
  /** Moves the time by `ms`; due timers fire in order. */
  advance(ms: number): Promise<void>;
  /** Moves the time to the next timer, and fires it. Returns whether there was one. */
  advanceToNextTimer(): Promise<boolean>;
  /** Cancels like a client. A machine that takes the event `cancel` receives it, and any other machine stops. */
  cancel(reason?: string): Promise<void>;
  /** Kills the node. Another node continues from the records, so everything that was only in memory is lost. */
  crash(): Promise<void>;
  /** Returns the instance, or its durable child `id`, as readers see it. */
  view(id?: string): MachineView;
  /** Returns XState's snapshot of the instance, or of its durable child `id`. */
  snapshot(id?: string): AnyMachineSnapshot;
  /** Stops the actors that run in this process. */
  close(): void;
}

/**
 * Starts an instance of a machine for a test. Throws `InvalidError` (`INVALID_CONFIGURATION`) for a value that is no machine, and any error of the
 * machine's start.
 */
export async function createTestInstance(
  given: GivenMachine,
  options: TestInstanceOptions = {},
): Promise<TestInstance> {
  const { id = "test", agents = {}, crashEachStep = false, logger, input } = options;
  const machine = machineOf(given, "machine");
  const machines = [machine, ...machinesOf(options.machines)];
  const settings: WorldOptions = { machines, logger, reloadEachStep: crashEachStep };
  const world = new World(settings);
  await world.begin(id, machine, startOf(input, world.clock.now()));
  const instance = stage(world, id, agents);
  await answerAll(world, agents);
  return instance;
}

function stage(world: World, id: string, agents: Readonly<Record<string, FakeAgent>>): TestInstance {
  const stateOf = (which: string): MachineRecordState => {
    const state = world.residents.get(which)?.state;
    if (state === undefined || !isMachineState(state)) throw new Error(`there is no instance ${which} here`);
    return state;
  };
  const then = async (happened: Promise<void>): Promise<void> => {
    await happened;
    await answerAll(world, agents);
  };
  let sent = 0;
  return {
    id,
    clock: world.clock,
    get tasks() {
      return tasksOf(world, then);
    },
    get children() {
      return Object.values(stateOf(id).meta.children);
    },
    get outbox() {
      return stateOf(id).meta.outbox;
    },
    get recordBytes() {
      return world.residents.get(id)?.stored?.length ?? 0;
    },
    emitted: world.emitted,
    send: async (given, { eventId = `event-${++sent}` } = {}) => {
      const event = fromPlain(toPlain(given, "event")) as StoredEvent;
      const state = stateOf(id);
      if (hasSeen(state.meta, eventId)) return;
      if (state.meta.status !== "running")
        throw new ConflictError("TASK_ENDED", `${id} has ended: ${state.meta.status}`);
      if (!canTake(state.snapshot, event)) throw notAccepted(state, event);
      await then(world.happen(id, { type: "ergon.event", event, id: eventId }));
    },
    can: (event) => canTake(stateOf(id).snapshot, event),
    advance: async (ms) => {
      const end = world.clock.now() + ms;
      // Fake agents answer at once.
      for (let due = world.nextDue; due !== undefined && due <= end; due = world.nextDue)
        await then(world.pass(Math.max(0, due - world.clock.now())));
      await then(world.pass(end - world.clock.now()));
    },
    advanceToNextTimer: async () => {
      const due = world.nextDue;
      if (due === undefined) return false;
      await then(world.pass(Math.max(0, due - world.clock.now())));
      return true;
    },
    cancel: (reason = "") => then(world.advanceActor(id, { type: "cancel", by: "a test", reason })),
    crash: () => then(world.reload()),
    view: (which = id) => describeMachine(stateOf(which)),
    snapshot: (which = id) => stateOf(which).snapshot,
    close: () => world.close(),
  };
}

async function answerAll(world: World, agents: Readonly<Record<string, FakeAgent>>): Promise<void> {
  for (;;) {
    const next = asked(world).find(({ task }) => Object.hasOwn(agents, task.spec.driver));
    if (next === undefined) return;
    const { resident, task } = next;
    const { driver } = task.spec;
    let output: unknown;
    try {
      output = await agents[driver]?.(payloadOf(task), { driver, instance: resident.id });
    } catch (error) {
      await world.endTask(resident.id, task.key, { kind: "error", error: failureFrom(error) });
      continue;
    }
    await world.endTask(resident.id, task.key, { kind: "done", output });
  }
}

function tasksOf(world: World, then: (happened: Promise<void>) => Promise<void>): TestTask[] {
  return asked(world).map(({ resident, task }) => ({
    instance: resident.id,
    driver: task.spec.driver,
    payload: payloadOf(task),
    succeed: (output) => then(world.endTask(resident.id, task.key, { kind: "done", output })),
    fail: (failure) => then(world.endTask(resident.id, task.key, { kind: "error", error: failureFrom(failure) })),
  }));
}

/** Returns every task that waits for an answer. */
export function asked(world: World): { readonly resident: Resident; readonly task: AskedTask }[] {
  return world.live.flatMap((resident) => [...resident.tasks.values()].map((task) => ({ resident, task })));
}

export function payloadOf({ spec }: AskedTask): unknown {
  return spec.payload.length === 0 ? undefined : decodeContent(spec.payload, spec.contentType);
}

export function failureFrom(thrown: unknown): Failure {
  const { code, message, retryable } = (
    typeof thrown === "object" && thrown !== null ? thrown : {}
  ) as Partial<Failure>;
  return {
    code: code ?? "HANDLER_FAILED",
    message: message ?? (typeof thrown === "string" ? thrown : ""),
    retryable: retryable ?? false,
  };
}

function notAccepted(state: MachineRecordState, { type }: StoredEvent): ConflictError {
  const events = acceptedEvents(state).join(", ") || "none";
  return new ConflictError(
    "EVENT_NOT_ACCEPTED",
    `${state.meta.id} takes no event "${type}" in its present state; it takes: ${events}`,
  );
}
