import { assign, setup } from "xstate";

import type { Machine } from "../actor/machine.ts";
import { flatEngine } from "../actor/step.ts";
import { TASK } from "../base/built-in.ts";
import { taskOption } from "./spec.ts";
import type { TaskStatus } from "./status.ts";
import * as changes from "./task-changes.ts";
import { at, inTime, inputOf, isCurrent, recorded, requeued, retryable } from "./task-changes.ts";
import type { Change, Happening } from "./task-changes.ts";
import type { AbortParams, DispatchParams, TaskContext, TaskEvent, TaskInput } from "./task-context.ts";
import { taskShape } from "./task-shape.ts";

/** A change within a status. */
function changed(describe: (happening: Happening) => Change) {
  return assign<TaskContext, TaskEvent, undefined, TaskEvent, never>(({ context, event }) => ({
    ...describe({ context, event }),
    updatedAt: at(event),
  }));
}

/** A change of the status, or of the attempt within it. It adds a line to the history. */
function moved(status: TaskStatus, describe: (happening: Happening) => Change) {
  return assign<TaskContext, TaskEvent, undefined, TaskEvent, never>(({ context, event }) =>
    recorded({ context, event }, status, describe({ context, event })),
  );
}

const machine = setup({
  types: {} as { context: TaskContext; events: TaskEvent; input: TaskInput },
  delays: {
    total: ({ context }) =>
      Math.max(0, (context.notBefore ?? 0) - context.updatedAt) + taskOption(context, "totalTimeoutMs"),
    due: ({ context }) => Math.max(0, (context.notBefore ?? 0) - context.updatedAt),
    queue: ({ context }) =>
      Math.max(0, (context.readyAt ?? context.updatedAt) + taskOption(context, "queueTimeoutMs") - context.updatedAt),
    attempt: ({ context }) => Math.max(0, (context.deadline ?? context.updatedAt) - context.updatedAt),
    grace: ({ context }) => taskOption(context, "cancelGraceMs"),
    backoff: ({ context }) => context.backoff ?? 0,
  },
  guards: {
    held: ({ context }) => context.batch !== undefined,
    early: ({ context }) => (context.notBefore ?? 0) > context.updatedAt,
    assigned: ({ event }) => inputOf(event)?.agent !== undefined,
    isCurrent,
    inTime,
    retryable: (happening) => inTime(happening) && retryable(happening),
    timedOutRetryable: retryable,
    unheld: (happening) => isCurrent(happening) && happening.context.agent === undefined,
    returnedPromptly: (happening) => isCurrent(happening) && changes.mayFollowAtOnce(happening),
    silentRetryable: (happening) => isCurrent(happening) && retryable(happening),
    outlived: (happening) => isCurrent(happening) && changes.isOutlived(happening),
    mayLose: ({ context, event }) => isCurrent({ context, event }) && context.lost < taskOption(context, "maxLost"),
  },
  actions: {
    dispatch: (_, _params: DispatchParams) => undefined,
    abort: (_, _params: AbortParams) => undefined,

    released: changed(() => ({ batch: undefined })),
    due: changed(({ event }) => ({ readyAt: at(event) })),
    offered: changed(changes.offered),
    unserved: changed(changes.unserved),
    again: changed(({ event }) => requeued(event)),
    cancelling: changed(changes.cancelling),

    started: moved("started", changes.started),
    taken: moved("started", changes.taken),
    untaken: moved("retrying", changes.untaken),
    backOff: moved("retrying", changes.backOff),
    lost: moved("retrying", changes.lost),
    returned: moved("retrying", changes.returned),
    succeeded: moved("succeeded", changes.succeeded),
    failed: moved("failed", changes.failed),
    lostForGood: moved("failed", changes.lostForGood),
    queueTimeout: moved("failed", changes.queueTimeout),
    totalTimeout: moved("failed", changes.totalTimeout),
    ended: moved("failed", changes.ended),
    cancelled: moved("cancelled", changes.cancelled),
    cancelledThoughDone: moved("cancelled", changes.cancelledThoughDone),
  },
}).createMachine({
  id: TASK,
  context: ({ input: { spec, batch, at: now } }) => ({
    ...spec,
    ...(batch === undefined ? {} : { batch }),
    scheduledAt: now,
    readyAt: now,
    updatedAt: now,
    attempt: 0,
    failures: 0,
    lost: 0,
    history: [[now, "scheduled", 0]],
  }),
  initial: "live",
  states: {
    live: {
      after: { total: { target: "failed", actions: ["totalTimeout", abort("timeout")] } },
      on: {
        cancel: { target: "cancelled", actions: "cancelled" },
        end: { target: "failed", actions: ["ended", abort("ended")] },
      },
      initial: "admitted",
      states: {
        admitted: {
          always: [
            { guard: "held", target: "held" },
            { guard: "early", target: "delayed" },
            { guard: "assigned", target: "started", actions: ["started", dispatch()] },
            { target: "ready" },
          ],
        },
        /** The task is stored with its batch, which is not decided yet. */
        held: { on: { release: { target: "admitted", actions: "released" } } },
        delayed: { after: { due: { target: "ready", actions: "due" } } },
        /** The task waits for a free slot of an agent. */
        ready: {
          after: { queue: { target: "#task.failed", actions: "queueTimeout" } },
          on: {
            start: { target: "started", actions: ["started", dispatch()] },
            offer: { target: "offered", actions: ["offered", dispatch()] },
            unserved: { target: "unserved", actions: "unserved" },
          },
        },
        /**
         * The task was sent to the driver's subject. It waits until the server or an agent confirms that somebody has it, and the attempt has no
         * deadline before that.
         */
        offered: {
          after: { queue: { target: "#task.failed", actions: "queueTimeout" } },
          on: {
            unserved: { guard: "isCurrent", target: "unserved", actions: "unserved" },
            taken: { guard: "isCurrent", target: "started", actions: "taken" },
            ...answers(),
          },
        },
        /** The driver's subject has no subscriber. An offered attempt keeps its number, because nobody received it. */
        unserved: {
          after: { queue: { target: "#task.failed", actions: "queueTimeout" } },
          on: {
            start: { target: "started", actions: ["started", dispatch()] },
            offer: { target: "offered", actions: ["offered", dispatch()] },
            taken: { guard: "isCurrent", target: "started", actions: "taken" },
            ...answers(),
          },
        },
        started: {
          after: { attempt: attemptFails("timedOutRetryable") },
          on: {
            ...answers(),
            /** The server reports that nobody has the attempt after all. */
            unserved: { guard: "unheld", target: "unserved", actions: "untaken" },
            lost: [
              { guard: "outlived", target: "#task.failed", actions: [abort("lost"), "totalTimeout"] },
              { guard: "mayLose", target: "ready", actions: [abort("lost"), "lost"] },
              { guard: "isCurrent", target: "#task.failed", actions: [abort("lost"), "lostForGood"] },
            ],
            silent: [
              { guard: "silentRetryable", target: "backoff", actions: [abort("timeout"), "backOff"] },
              { guard: "isCurrent", target: "#task.failed", actions: [abort("timeout"), "failed"] },
            ],
            cancel: { target: "cancelling", actions: ["cancelling", abort("cancelled")] },
          },
        },
        backoff: { after: { backoff: { target: "ready", actions: "again" } } },
        /** The agent has received the cancel. The task becomes cancelled on any answer, and at the latest after the grace period. */
        cancelling: {
          after: { grace: { target: "#task.cancelled", actions: ["cancelled", abort("ended")] } },
          on: {
            cancel: {},
            succeeded: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelledThoughDone" },
            failed: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelled" },
            lost: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelled" },
            unserved: { guard: "unheld", target: "#task.cancelled", actions: "cancelled" },
            returned: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelled" },
          },
        },
      },
    },
    succeeded: { type: "final" },
    failed: { type: "final" },
    cancelled: { type: "final" },
  },
});

function dispatch() {
  return {
    type: "dispatch",
    params: ({ context }: { context: TaskContext }): DispatchParams => ({
      attempt: context.attempt,
      agent: context.agent,
    }),
  } as const;
}

function abort(reason: AbortParams["reason"]) {
  return {
    type: "abort",
    params: ({ context }: { context: TaskContext }): AbortParams => ({
      attempt: context.attempt,
      agent: context.agent,
      reason,
    }),
  } as const;
}

function attemptFails(guard: "timedOutRetryable") {
  return [
    { guard, target: "backoff", actions: [abort("timeout"), "backOff"] },
    { target: "#task.failed", actions: [abort("timeout"), "failed"] },
  ] as const;
}

function answers() {
  return {
    succeeded: { guard: "inTime", target: "#task.succeeded", actions: "succeeded" },
    failed: [
      { guard: "retryable", target: "backoff", actions: "backOff" },
      { guard: "inTime", target: "#task.failed", actions: "failed" },
    ],
    returned: [
      { guard: "outlived", target: "#task.failed", actions: ["totalTimeout", abort("timeout")] },
      { guard: "returnedPromptly", target: "ready", actions: "returned" },
      { guard: "isCurrent", target: "backoff", actions: "returned" },
    ],
  } as const;
}

/** The machine of tasks. A task is one unit of work, which the machine dispatches to an agent, retries, bounds and recovers. */
export const taskMachine: Machine = {
  name: TASK,
  version: "1",
  logic: machine,
  engine: flatEngine,
  shape: taskShape,
};
