import { setup, type AnyStateMachine } from "xstate";

import type { Machine } from "../actor/machine.ts";
import { SCHEDULE } from "../base/built-in.ts";
import { isErgonError } from "../base/errors.ts";
import { coordinatorActions, decided, timeOf } from "../coordinator/decided.ts";
import { endingOf, onWorkEnded, type WorkEnded } from "../coordinator/ended.ts";
import { detachedWork } from "../coordinator/work.ts";
import { alarm } from "../machines/alarm.ts";
import { machineEngine } from "../machines/machine-engine.ts";
import { birth, type Birth } from "./birth.ts";
import { onDue, onEnded, onResume, onTrigger } from "./decide.ts";
import { sameSchedule, scheduleMeaning } from "./meaning.ts";
import { parseSchedule } from "./parse-schedule.ts";
import { begun, newContext, type ScheduleContext } from "./schedule-context.ts";
import { scheduleShape } from "./schedule-shape.ts";
import { scheduleLimits } from "./spec.ts";

/** The events that a client may send to a schedule. */
export type ScheduleEvent =
  | { readonly type: "pause" | "resume" | "trigger" }
  /** Replaces the spec. The due times of the new spec begin now. */
  | { readonly type: "update"; readonly spec: unknown };

type Happening = ScheduleEvent | WorkEnded;

const schedules = setup({
  types: {} as { context: ScheduleContext; input: unknown; events: Happening; output: object },
  actors: { alarm, run: detachedWork, birth },
  guards: {
    isDue: ({ context }) => context.next !== undefined,
    isOver: ({ context }) => context.next === undefined && context.running.length + context.queued.length === 0,
    isValid: ({ event }) => event.type === "update" && isSchedule(event.spec),
    isInForce: ({ context, event }) =>
      event.type === "update" && isSchedule(event.spec) && sameSchedule(context.schedule, parseSchedule(event.spec)),
    hasRoom: ({ context }) => context.running.length < scheduleLimits.running,
    isRun: ({ context, event }) => context.running.some(({ id }) => id === (event as WorkEnded).actorId),
  },
  actions: {
    ...coordinatorActions<ScheduleContext, Happening>("run"),
    keep: () => undefined,
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

const runEnded = (paused: boolean) =>
  onWorkEnded({
    guard: "isRun",
    actions: decided((context: ScheduleContext, event: Happening, now) => {
      const { actorId } = event as WorkEnded;
      const { context: after, orders } = onEnded(context, actorId, endingOf(event as WorkEnded), {
        now: now(),
        paused,
      });
      return { context: after, orders: [{ type: "stop", actor: actorId }, ...orders] };
    }),
  } as const);

const onAlarm = decided((context: ScheduleContext, _: Happening, now) => onDue(context, now()));
const triggered = decided((context: ScheduleContext, _: Happening, now) => onTrigger(context, now()));
const resumed = decided((context: ScheduleContext, _: Happening, now) => onResume(context, now()));

/** An update with the spec in force changes nothing, so the due times keep their phase. */
const unchanged = { guard: "isInForce", actions: "keep" } as const;
const changed = { guard: "isValid", target: "deciding", actions: update } as const;

const logic = schedules.createMachine({
  id: SCHEDULE,
  context: ({ input }) => newContext(parseSchedule(input)),
  initial: "added",
  on: {
    ...runEnded(false),
    trigger: { guard: "hasRoom", actions: triggered },
  },
  states: {
    added: { invoke: { src: "birth", onDone: { target: "deciding", actions: begin } } },
    deciding: {
      always: [{ guard: "isDue", target: "waiting" }, { guard: "isOver", target: "ended" }, { target: "finishing" }],
    },
    /** The schedule waits for the next due time. */
    waiting: {
      invoke: {
        id: "alarm",
        src: "alarm",
        input: ({ context }) => ({ dueAt: context.next?.at ?? 0 }),
        onDone: { target: "deciding", actions: onAlarm },
      },
      on: { pause: "paused", update: [unchanged, changed] },
    },
    /** Nothing more is due, but runs are still running. */
    finishing: {
      always: { guard: "isOver", target: "ended" },
      on: { pause: "paused", update: [unchanged, changed] },
    },
    paused: {
      on: {
        ...runEnded(true),
        resume: { target: "deciding", actions: resumed },
        update: [unchanged, { guard: "isValid", actions: update }],
      },
    },
    ended: { type: "final" },
  },
  output: ({ context }) => context.counts,
});

/** The machine of schedules. Every node knows it, and its name belongs to Ergon. Its input is a `ScheduleSpec`. */
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
