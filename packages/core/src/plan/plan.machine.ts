import { sendParent, setup, type AnyStateMachine } from "xstate";

import type { Machine } from "../actor/machine.ts";
import type { ActorState } from "../actor/step.ts";
import { PLAN } from "../base/built-in.ts";
import { ConflictError } from "../base/errors.ts";
import { fromPlain, toPlain } from "../base/plain.ts";
import { CANCELLED_TAG, FAILED_TAG, machineEngine } from "../machines/machine-engine.ts";
import type { MachineRecordState } from "../machines/machine-state.ts";
import { checkPlan, isContinuation } from "./check.ts";
import { planMeaning } from "./meaning.ts";
import { planShape } from "./plan-shape.ts";
import { newPlan, type PlanPhase, type PlanState } from "./plan-state.ts";
import { onCancel, onClose, onOutcome, onStart, type Progress } from "./progress.ts";
import { outputOf, restOf, type Report } from "./report.ts";
import { PLAN_VERSION } from "./start-step.ts";
import { leftBehind } from "./undo.ts";
import { planFields } from "./view.ts";
import { work } from "./work.ts";

type PlanEvent =
  | { readonly type: `xstate.done.actor.${string}`; readonly actorId: string; readonly output: unknown }
  | { readonly type: `xstate.error.actor.${string}`; readonly actorId: string; readonly error: unknown }
  | { readonly type: "cancel"; readonly reason?: unknown }
  | { readonly type: "ergon.plan.undo" | "ergon.plan.close" }
  | { readonly type: "ergon.plan.held"; readonly actor: string; readonly report: Report };

const plans = setup({
  types: {} as { context: PlanState; input: unknown; events: PlanEvent; output: unknown },
  actors: { work },
  guards: { is: ({ context }, phase: PlanPhase) => context.phase === phase },
});

/** Makes what was decided happen: the context is changed, steps are started and stopped, other plans are told. */
const decided = (decide: (plan: PlanState, event: PlanEvent) => Progress) =>
  plans.enqueueActions(({ context, event, enqueue }) => {
    const { plan, orders } = decide(context, event);
    enqueue.assign(plan);
    for (const order of orders) {
      if (order.type === "start") enqueue.spawnChild("work", { id: order.actor, input: order.work });
      else if (order.type === "stop") enqueue.stopChild(order.actor);
      else if (order.type === "send") enqueue.sendTo(order.actor, order.event);
      else enqueue(sendParent({ type: "ergon.plan.held", actor: plan.part?.actor, report: order.report }));
    }
  });

const ended = decided((plan, event) => {
  const { actorId } = event as PlanEvent & { actorId: string };
  if ("output" in event) return onOutcome(plan, actorId, { kind: "done", output: event.output });
  return onOutcome(plan, actorId, { kind: "error", error: (event as { error?: unknown }).error });
});
const held = decided((plan, event) => {
  const { actor, report } = event as PlanEvent & { type: "ergon.plan.held" };
  return onOutcome(plan, actor, { kind: "held", report });
});
const cancelled = decided((plan, event) => {
  const { reason } = event as { readonly reason?: unknown };
  return onCancel(plan, typeof reason === "string" && reason !== "" ? reason : "cancelled");
});

/** Where a plan stands is in its context; the state follows. */
const follows = (...phases: readonly PlanPhase[]) =>
  phases.map((phase) => ({ guard: { type: "is", params: phase }, target: phase }) as const);

const logic = plans.createMachine({
  id: PLAN,
  context: ({ input }) => newPlan(checkPlan(input), isContinuation(input) ? input : {}),
  entry: decided(onStart),
  initial: "running",
  on: {
    "xstate.done.actor.*": { actions: ended },
    "xstate.error.actor.*": { actions: ended },
    "ergon.plan.held": { actions: held },
    // Taken at every moment: a plan that undoes itself is not stopped in the middle of that.
    cancel: { actions: cancelled },
  },
  states: {
    running: { always: follows("stopping", "compensating", "held", "succeeded", "failed", "cancelled") },
    stopping: { always: follows("compensating", "failed", "cancelled") },
    compensating: { always: follows("failed", "cancelled") },
    held: {
      always: follows("compensating", "succeeded", "failed", "cancelled"),
      on: {
        "ergon.plan.undo": { actions: decided((plan) => onCancel(plan, "undone with the plan that it is a part of")) },
        "ergon.plan.close": { actions: decided((plan) => onClose(plan)) },
      },
    },
    succeeded: { type: "final" },
    failed: { type: "final", tags: FAILED_TAG },
    cancelled: { type: "final", tags: CANCELLED_TAG },
  },
  output: ({ context }: { readonly context: PlanState }) => outputOf(context),
});

/** The machine of plans; every node knows it, and its name belongs to Ergon. Its input is a {@link PlanDefinition}. */
export const planMachine: Machine = {
  name: PLAN,
  version: PLAN_VERSION,
  logic: logic as unknown as AnyStateMachine,
  engine: machineEngine,
  shape: planShape,
  checkInput: (input) => void checkPlan(input),
  meaning: planMeaning,
  again,
  describe: (state, children) => planFields(state as MachineRecordState, children as never),
};

/** What goes on where a plan has stopped: steps that have succeeded are not run again. */
function again(state: ActorState): unknown {
  const { meta, persisted } = state as MachineRecordState;
  const plan = leftBehind(fromPlain(persisted.context) as PlanState);
  if (plan.part !== undefined)
    throw new ConflictError("TASK_NOT_FAILED", `${meta.id} is a part of plan ${meta.parent?.id ?? ""}: retry that`);
  const rest = restOf(plan);
  if (rest === undefined)
    throw new ConflictError(
      "TASK_NOT_FAILED",
      `what is left of a segment of plan ${meta.id} is not known, since that was ended by force, or its outputs were too many: start the plan anew`,
    );
  return toPlain(rest, "plan");
}
