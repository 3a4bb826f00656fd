import { assign, sendTo, setup, stopChild, type AnyStateMachine } from "xstate";

import type { Machine } from "../actor/machine.ts";
import { SCHEDULE } from "../base/built-in.ts";
import { isErgonError } from "../base/errors.ts";
import { alarm } from "../machines/alarm.ts";
import type { Ending } from "../machines/command.ts";
import { machineEngine } from "../machines/machine-engine.ts";
import { ActorTree } from "../machines/tree.ts";
import { onDue, onEnded, onResume, onTrigger, type Decision } from "./decide.ts";
import { CANCEL_RUN, birth, run, type Birth } from "./logic.ts";
import { sameSchedule, scheduleMeaning } from "./meaning.ts";
import { parseSchedule } from "./parse-schedule.ts";
import { begun, newContext, type ScheduleContext } from "./schedule-context.ts";
import { scheduleShape } from "./schedule-shape.ts";
import { scheduleLimits } from "./spec.ts";

/** What a client may send to a schedule. */
export type ScheduleEvent =
  | { readonly type: "pause" | "resume" | "trigger" }
  /** Another spec in the place of this one; its due times begin now. */
  | { readonly type: "update"; readonly spec: unknown };

/** The end of a run, as XState tells it. */
interface RunEnded {
  readonly type: `xstate.done.actor.${string}` | `xstate.error.actor.${string}`;
  readonly actorId: string;
  readonly output?: unknown;
  readonly error?: unknown;
}

const schedules = setup({
  types: {} as { context: ScheduleContext; input: unknown; events: ScheduleEvent | RunEnded; output: object },
  actors: { alarm, run, birth },
  guards: {
    isDue: ({ context }) => context.next !== undefined,
    isOver: ({ context }) => context.next === undefined && context.running.length + context.queued.length === 0,
    isValid: ({ event }) => event.type === "update" && isSchedule(event.spec),
    isInForce: ({ context, event }) =>
      event.type === "update" && isSchedule(event.spec) && sameSchedule(context.schedule, parseSchedule(event.spec)),
    hasRoom: ({ context }) => context.running.length < scheduleLimits.running,
    isRun: ({ context, event }) => context.running.some(({ id }) => id === (event as RunEnded).actorId),
  },
  actions: {
    // What an action makes happen is named here: XState warns of what is made while an action runs, as a shard's supervisor has it.
    become: assign(({ spawn }, { context, start }: Decision) => {
      for (const { id } of start) spawn("run", { id, input: { id, run: context.schedule.run } });
      return context;
    }),
    cancelRun: sendTo((_, { id }: { id: string }) => id, { type: CANCEL_RUN }),
    keep: () => undefined,
    forgetRun: stopChild(({ event }) => (event as unknown as RunEnded).actorId),
  },
});

const begin = schedules.assign(({ context, event }) => {
  const { output } = event as unknown as { readonly output: Birth };
  return begun({ ...context, id: output.id }, context.schedule, output.at);
});
const update = schedules.assign(({ context, event, self }) => {
  const { spec } = event as ScheduleEvent & { type: "update" };
  return begun(context, parseSchedule(spec), timeOf(self));
});

/** Makes what was decided happen: the context is changed, runs are started and cancelled. */
const decided = (decide: (context: ScheduleContext, now: number) => Decision) =>
  schedules.enqueueActions(({ context, self, enqueue }) => {
    const decision = decide(context, timeOf(self));
    for (const id of decision.cancel) enqueue({ type: "cancelRun", params: { id } });
    enqueue({ type: "become", params: decision });
  });

const runEnded = (paused: boolean) => {
  const ended = schedules.enqueueActions(({ context, event, self, enqueue }) => {
    const ending = endingOf(event as RunEnded);
    const decision = onEnded(context, (event as RunEnded).actorId, ending, { now: timeOf(self), paused });
    enqueue({ type: "become", params: decision });
  });
  const transition = { guard: "isRun", actions: ["forgetRun", ended] } as const;
  return { "xstate.done.actor.*": transition, "xstate.error.actor.*": transition };
};

/** A spec that is in force goes on as it is: its due times keep their phase. */
const unchanged = { guard: "isInForce", actions: "keep" } as const;
const changed = { guard: "isValid", target: "deciding", actions: update } as const;

const logic = schedules.createMachine({
  id: SCHEDULE,
  context: ({ input }) => newContext(parseSchedule(input)),
  initial: "added",
  on: {
    ...runEnded(false),
    trigger: { guard: "hasRoom", actions: decided(onTrigger) },
  },
  states: {
    added: { invoke: { src: "birth", onDone: { target: "deciding", actions: begin } } },
    deciding: {
      always: [{ guard: "isDue", target: "waiting" }, { guard: "isOver", target: "ended" }, { target: "finishing" }],
    },
    /** For the next due time. */
    waiting: {
      invoke: {
        id: "alarm",
        src: "alarm",
        input: ({ context }) => ({ dueAt: context.next?.at ?? 0 }),
        onDone: { target: "deciding", actions: decided(onDue) },
      },
      on: { pause: "paused", update: [unchanged, changed] },
    },
    /** Nothing more is due; runs go on. */
    finishing: {
      always: { guard: "isOver", target: "ended" },
      on: { pause: "paused", update: [unchanged, changed] },
    },
    paused: {
      on: {
        ...runEnded(true),
        resume: { target: "deciding", actions: decided(onResume) },
        update: [unchanged, { guard: "isValid", actions: update }],
      },
    },
    ended: { type: "final" },
  },
  output: ({ context }) => context.counts,
});

/** The machine of schedules; every node knows it, and its name belongs to Ergon. Its input is a `ScheduleSpec`. */
export const scheduleMachine: Machine = {
  name: SCHEDULE,
  version: "1",
  logic: logic as unknown as AnyStateMachine,
  engine: machineEngine,
  shape: scheduleShape,
  checkInput: (input) => void parseSchedule(input),
  meaning: (input) => scheduleMeaning(parseSchedule(input)),
  inForce: ({ snapshot }) => scheduleMeaning((snapshot.context as ScheduleContext).schedule),
};

function isSchedule(spec: unknown): boolean {
  try {
    parseSchedule(spec);
    return true;
  } catch (error) {
    if (!isErgonError(error)) throw error;
    return false;
  }
}

function endingOf({ type, output, error }: RunEnded): Ending {
  return type.startsWith("xstate.done.") ? { kind: "done", output } : { kind: "error", error };
}

function timeOf(self: { readonly system: unknown }): number {
  return ActorTree.of(self, "a schedule").now;
}
