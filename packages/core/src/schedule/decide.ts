import type { Decision, Order } from "../coordinator/order.ts";
import type { Work } from "../coordinator/work.ts";
import type { Ending } from "../machines/command.ts";
import { failureOf } from "../machines/failure.ts";
import { overdue } from "./overdue.ts";
import { runId, triggeredRunId } from "./run-id.ts";
import { left, withNext, type Run, type ScheduleContext, type ScheduleCounts } from "./schedule-context.ts";
import { LATE_MS, scheduleLimits } from "./spec.ts";

type Next = Decision<ScheduleContext>;

/** Handles the alarm of the next due time. */
export function onDue(context: ScheduleContext, now: number): Next {
  return catchUp(context, now, LATE_MS, context.next?.due);
}

/** Continues after a pause. Due times during the pause count as missed. */
export function onResume(context: ScheduleContext, now: number): Next {
  const caughtUp = catchUp(context, now, 0);
  const drained = drain(caughtUp.context, now);
  return { context: withNext(drained.context), orders: [...caughtUp.orders, ...drained.orders] };
}

/** Starts a run at once, whether or not other runs are running. */
export function onTrigger(context: ScheduleContext, now: number): Next {
  const number = context.counts.triggered + 1;
  const run = { id: triggeredRunId(context.id, now, number), startedAt: now };
  return { context: started(counted(context, "triggered"), run), orders: [orderOf(context, run)] };
}

/** Handles the end of a run. While the schedule is paused, no waiting due time starts. */
export function onEnded(
  context: ScheduleContext,
  run: string,
  ending: Ending,
  { now, paused }: { readonly now: number; readonly paused: boolean },
): Next {
  const running = context.running.filter(({ id }) => id !== run);
  const after = noted({ ...context, running }, run, ending, now);
  return paused ? { context: after, orders: [] } : drain(after, now);
}

function catchUp(context: ScheduleContext, now: number, lateMs: number, sure?: number): Next {
  const { dues, missed, upTo } = overdue(context, now, lateMs, sure);
  // If several due times come at once, each would cancel the one before it.
  const replaced = context.schedule.overlap === "cancel" ? Math.max(0, dues.length - 1) : 0;
  const after = counted(counted(context, "missed", missed), "skipped", replaced);
  let decision: Next = { context: { ...after, upTo }, orders: [] };
  for (const due of dues.slice(replaced)) decision = admit(decision, due, now);
  return { ...decision, context: withNext(decision.context) };
}

/** Handles a due time. The run starts, waits, or is skipped. */
function admit(decision: Next, due: number, now: number): Next {
  const { context } = decision;
  const { running, queued, schedule } = context;
  if (left(context) <= 0) return decision;
  if (running.length === 0 && queued.length === 0) return begin(decision, due, now);
  switch (schedule.overlap) {
    case "allow":
      return running.length < scheduleLimits.running ? begin(decision, due, now) : skip(decision);
    case "queue":
      if (queued.length >= scheduleLimits.queued) return skip(decision);
      return { ...decision, context: { ...context, queued: [...queued, due] } };
    case "cancel":
      return replace(decision, due);
    default:
      return skip(decision);
  }
}

function skip(decision: Next): Next {
  return { ...decision, context: counted(decision.context, "skipped") };
}

/** Cancels the running runs, skips the due times that waited for them, and lets `due` wait in their place. */
function replace({ context, orders }: Next, due: number): Next {
  const fresh = context.running.filter(({ cancelling }) => cancelling !== true);
  const cancels = fresh.map(({ id }): Order => ({ type: "cancel", actor: id, reason: "the next run is due" }));
  const running = context.running.map((run) => ({ ...run, cancelling: true }));
  const replaced = { ...counted(context, "skipped", context.queued.length), running, queued: [due] };
  return { context: replaced, orders: [...orders, ...cancels] };
}

function begin({ context, orders }: Next, due: number, now: number): Next {
  const run = { id: runId(context.id, due), due, startedAt: now };
  return { context: started(counted(context, "started"), run), orders: [...orders, orderOf(context, run)] };
}

/** Starts the first waiting due time if no run is running. */
function drain(context: ScheduleContext, now: number): Next {
  const [due, ...queued] = context.queued;
  const idle: Next = { context, orders: [] };
  if (due === undefined || context.running.length > 0) return idle;
  return begin({ ...idle, context: { ...context, queued } }, due, now);
}

/** Returns the order that starts a run as a task or an instance with the id of the run. */
function orderOf({ schedule: { run } }: ScheduleContext, { id }: Run): Order {
  const work: Work = run.kind === "task" ? { ...run, id, standalone: true } : { input: undefined, ...run, id };
  return { type: "start", actor: id, work };
}

function started(context: ScheduleContext, run: Run): ScheduleContext {
  return { ...context, running: [...context.running, run], last: run };
}

function noted(context: ScheduleContext, run: string, ending: Ending, at: number): ScheduleContext {
  if (ending.kind === "done") return counted(context, "succeeded");
  const failure = failureOf(ending.error);
  if (failure.code === "TASK_CANCELLED") return counted(context, "cancelled");
  return { ...counted(context, "failed"), lastFailure: { ...failure, run, at } };
}

function counted(context: ScheduleContext, name: keyof ScheduleCounts, by = 1): ScheduleContext {
  return { ...context, counts: { ...context.counts, [name]: context.counts[name] + by } };
}
