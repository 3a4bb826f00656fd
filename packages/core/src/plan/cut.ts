import { sizeOf } from "../base/msgpack.ts";
import { segmentsOf } from "../coordinator/segments.ts";
import { needsOf, type CheckedPlan, type CheckedStep } from "./check.ts";
import { planLimits, type Known, type PlanDefinition, type PlanMode } from "./definition.ts";
import { knownIn } from "./known.ts";
import { sortedByDependencies } from "./order.ts";
import { referencesIn, stepOf } from "./references.ts";

/** Steps of a large plan that run as a plan with a record of its own. */
export interface Segment {
  /** Its first and its last step. */
  readonly id: string;
  readonly steps: number;
  /** Gone once it is started: it is in its own record then. */
  readonly definition?: PlanDefinition;
  /** Steps of it whose outcome others refer to. */
  readonly exports: readonly string[];
  /** Those of them whose output is wanted. */
  readonly outputs: readonly string[];
  /** Steps before it to whose outcome it refers. */
  readonly uses: readonly string[];
}

/** A large plan in pieces. */
export interface Pieces {
  readonly segments: readonly Segment[];
  readonly mode: PlanMode;
  /** Most segments that run at once. */
  readonly atOnce: number;
  /** The results of done steps that pieces need. */
  readonly known: Readonly<Record<string, Known>>;
  /** Steps that are done, and in no segment. */
  readonly done: number;
}

/**
 * Cuts a plan that is too large for one record that is written at each transition. `undefined`: it is not. Segments of a sequence and of a graph, in
 * the order of its dependencies, follow each other; a few of a parallel plan run at once.
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

/** Nothing is left to do of it, nor to be undone. */
function isDone({ id, compensate }: CheckedStep, { known }: CheckedPlan): boolean {
  const before = knownIn(known, id);
  if (before === undefined || before.blocked === true) return false;
  return before.status === "skipped" || (before.status === "succeeded" && compensate === undefined);
}
