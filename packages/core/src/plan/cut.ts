import { sizeOf } from "../base/msgpack.ts";
import { segmentsOf } from "../coordinator/segments.ts";
import { needsOf, type CheckedPlan, type CheckedStep } from "./check.ts";
import { planLimits, type Known, type PlanDefinition, type PlanMode } from "./definition.ts";
import { knownIn } from "./known.ts";
import { sortedByDependencies } from "./order.ts";
import { referencesIn, stepOf } from "./references.ts";

/** Steps of a large plan that run as a plan with its own record. */
export interface Segment {
  /** The ids of its first and its last step. */
  readonly id: string;
  readonly steps: number;
  /** The definition. It is absent after the start, because the segment's own record then holds it. */
  readonly definition?: PlanDefinition;
  /** The segment's steps whose outcome is read outside it. */
  readonly exports: readonly string[];
  /** The exported steps whose output is read as well. */
  readonly outputs: readonly string[];
  /** Earlier steps whose outcome the segment reads. */
  readonly uses: readonly string[];
}

/** A large plan in pieces. */
export interface Pieces {
  readonly segments: readonly Segment[];
  readonly mode: PlanMode;
  /** The most segments that run at once. */
  readonly atOnce: number;
  /** The results of finished steps that segments read. */
  readonly known: Readonly<Record<string, Known>>;
  /** The number of finished steps that are in no segment. */
  readonly done: number;
}

/**
 * Cuts a plan that is too large for one record, which is written at each transition. Returns `undefined` for a plan that fits. The segments of a
 * sequence run one after the other, and so do those of a graph, in the order of its dependencies. A few segments of a parallel plan run at once.
 */
export function cut(plan: CheckedPlan): Pieces | undefined {
  const { mode, limit, output } = plan;
  const steps = mode === "graph" ? sortedSteps(plan) : plan.steps;
  if (steps.length <= planLimits.segmentSteps && sizeOf(steps) <= planLimits.segmentBytes) return undefined;
  const open = steps.filter((step) => !isDone(step, plan));
  const wanted = new Set(referencesIn(output).flatMap((path) => stepOf(path) ?? []));
  const cuts = segmentsOf(open, {
    needsOf: (step) => {
      const { steps: pieces, outputs } = needsOf(step);
      return { pieces, outputs };
    },
    wanted,
    most: { pieces: planLimits.segmentSteps, bytes: planLimits.segmentBytes },
  });
  const atOnce = mode === "parallel" ? Math.min(planLimits.segmentsAtOnce, limit, cuts.length) : 1;
  const { onFailure, standalone, input } = plan;
  const shared = { mode, limit: Math.max(1, Math.floor(limit / atOnce)), onFailure, standalone, input };
  const segments = cuts.map(({ pieces, ...rest }): Segment => ({
    ...rest,
    steps: pieces.length,
    definition: { ...shared, steps: pieces },
  }));
  const needed = new Set([...wanted, ...open.flatMap((step) => [step.id, ...needsOf(step).steps])]);
  const chosen = Object.entries(plan.known).filter(([id]) => needed.has(id) || needed.has("*"));
  return {
    segments,
    mode: mode === "parallel" ? mode : "sequence",
    atOnce,
    known: Object.fromEntries(chosen),
    done: steps.length - open.length,
  };
}

function sortedSteps({ steps }: CheckedPlan): readonly CheckedStep[] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const dependencies = new Map(steps.map((step) => [step.id, [...needsOf(step).steps]]));
  return sortedByDependencies(dependencies).flatMap((id) => byId.get(id) ?? []);
}

/** Returns true if nothing of a step is left, because its condition skipped it, or because it has succeeded and has no compensation. */
function isDone({ id, compensate }: CheckedStep, { known }: CheckedPlan): boolean {
  const before = knownIn(known, id);
  if (before === undefined || before.blocked === true) return false;
  return before.status === "skipped" || (before.status === "succeeded" && compensate === undefined);
}
