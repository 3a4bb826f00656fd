import { setup, type AnyStateMachine } from "xstate";

import type { Machine } from "../actor/machine.ts";
import type { ActorState } from "../actor/state.ts";
import { PLAN } from "../base/built-in.ts";
import { ConflictError } from "../base/errors.ts";
import { fromPlain, toPlain } from "../base/plain.ts";
import { coordinatorActions, decided } from "../coordinator/decided.ts";
import { endingOf, onWorkEnded, type WorkEnded } from "../coordinator/ended.ts";
import { work } from "../coordinator/work.ts";
import { CANCELLED_TAG, FAILED_TAG, machineEngine } from "../machines/machine-engine.ts";
import type { MachineRecordState } from "../machines/machine-state.ts";
import { checkPlan, isContinuation } from "./check.ts";
import { planMeaning } from "./meaning.ts";
import { planShape } from "./plan-shape.ts";
import { newPlan, type PlanPhase, type PlanState } from "./plan-state.ts";
import { onCancel, onClose, onOutcome, onStart } from "./progress.ts";
import { outputOf, restOf, type Report } from "./report.ts";
import { PLAN_VERSION } from "./start-step.ts";
import { CLOSE, HELD, UNDO, leftBehind } from "./undo.ts";
import { planFields } from "./view.ts";

type PlanEvent =
  | WorkEnded
  | { readonly type: "cancel"; readonly reason?: unknown }
  | { readonly type: typeof UNDO | typeof CLOSE }
  | { readonly type: typeof HELD; readonly actor: string; readonly report: Report };

const plans = setup({
  types: {} as { context: PlanState; input: unknown; events: PlanEvent; output: unknown },
  actors: { work },
  actions: coordinatorActions<PlanState, PlanEvent>("work"),
  guards: { is: ({ context }, phase: PlanPhase) => context.phase === phase },
});

const ended = decided((plan: PlanState, event: PlanEvent) =>
  onOutcome(plan, (event as WorkEnded).actorId, endingOf(event as WorkEnded)),
);
const held = decided((plan: PlanState, event: PlanEvent) => {
  const { actor, report } = event as PlanEvent & { type: typeof HELD };
  return onOutcome(plan, actor, { kind: "held", report });
});
const cancelled = decided((plan: PlanState, event: PlanEvent) => {
  const { reason } = event as { readonly reason?: unknown };
  return onCancel(plan, typeof reason === "string" && reason !== "" ? reason : "cancelled");
});

/** The plan's phase is in its context, and the state follows the phase. */
const follows = (...phases: readonly PlanPhase[]) =>
  phases.map((phase) => ({ guard: { type: "is", params: phase }, target: phase }) as const);

const logic = plans.createMachine({
  id: PLAN,
  context: ({ input }) => newPlan(checkPlan(input), isContinuation(input) ? input : {}),
  entry: decided(onStart),
  initial: "running",
  on: {
    ...onWorkEnded({ actions: ended } as const),
    [HELD]: { actions: held },
    // Every state takes this event, because a plan must not stop while it undoes itself.
    cancel: { actions: cancelled },
  },
  states: {
    running: { always: follows("stopping", "compensating", "held", "succeeded", "failed", "cancelled") },
    stopping: { always: follows("compensating", "failed", "cancelled") },
    compensating: { always: follows("failed", "cancelled") },
    held: {
      always: follows("compensating", "succeeded", "failed", "cancelled"),
      on: {
        [UNDO]: { actions: decided((plan) => onCancel(plan, "undone with the plan that it is a part of")) },
        [CLOSE]: { actions: decided((plan) => onClose(plan)) },
      },
    },
    succeeded: { type: "final" },
    failed: { type: "final", tags: FAILED_TAG },
    cancelled: { type: "final", tags: CANCELLED_TAG },
  },
  output: ({ context }: { readonly context: PlanState }) => outputOf(context),
});

/** The machine of plans. Every node knows it, and its name belongs to Ergon. Its input is a {@link PlanDefinition}. */
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

/** Returns the continuation of a stopped plan. Succeeded steps do not run again. */
function again(state: ActorState): unknown {
  const { meta, persisted } = state as MachineRecordState;
  const plan = leftBehind(fromPlain(persisted.context) as PlanState);
  if (plan.part !== undefined)
    throw new ConflictError(
      "TASK_NOT_FAILED",
      `${meta.id} is a part of plan ${meta.parent?.id ?? ""}: retry that plan instead`,
    );
  const rest = restOf(plan);
  if (rest === undefined)
    throw new ConflictError(
      "TASK_NOT_FAILED",
      `plan ${meta.id} cannot be continued: a segment of it was ended by force, or had too many outputs, so its remaining steps are unknown. Start the plan again`,
    );
  return toPlain(rest, "plan");
}
