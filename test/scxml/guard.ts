// The condition of a transition as a guard of XState.
import { and, not, or, stateIn } from "xstate";

import type { ScxmlContext } from "./block.ts";
import { Unsupported, type Chart } from "./chart.ts";
import { createRealm, ScxmlError } from "./datamodel.ts";
import { attribute, words, type Element } from "./document.ts";
import { eventName, matches, type ScxmlEvent } from "./events.ts";
import { stateReference } from "./state-ids.ts";

interface GuardArguments {
  readonly context: ScxmlContext;
  readonly event: ScxmlEvent;
}

/**
 * Whether the event is one of the transition's, and the condition holds. An error in it is a no; a guard cannot raise
 * the event that should tell of it.
 */
export function guardOf(transition: Element, chart: Chart): unknown {
  const descriptors = words(transition, "event");
  const condition = attribute(transition, "cond");
  if (condition === undefined && descriptors.length === 0) return undefined;
  const holds = ({ context, event }: GuardArguments, inStates: ReadonlyMap<string, boolean>): boolean => {
    const name = eventName(event);
    if (descriptors.length > 0 && !descriptors.some((descriptor) => matches(descriptor, name))) return false;
    if (condition === undefined) return true;
    try {
      const realm = createRealm(chart, context.variables, event, (id) => inStates.get(id) ?? false);
      return Boolean(realm.evaluate(condition));
    } catch (error) {
      if (!(error instanceof ScxmlError)) throw error;
      return false;
    }
  };
  return decided(statesAsked(condition ?? ""), new Map(), holds);
}

type Holds = (args: GuardArguments, inStates: ReadonlyMap<string, boolean>) => boolean;

/** Only `stateIn` sees the states at the moment of a guard: so one is asked for each state, before the expression. */
function decided(asked: readonly string[], known: ReadonlyMap<string, boolean>, holds: Holds): unknown {
  const [id, ...rest] = asked;
  if (id === undefined) return (args: GuardArguments) => holds(args, known);
  const inside = stateIn(stateReference(id));
  const branch = (isIn: boolean): never => decided(rest, new Map([...known, [id, isIn]]), holds) as never;
  return or([and([inside, branch(true)]), and([not(inside), branch(false)])]);
}

function statesAsked(condition: string): string[] {
  const literals = [...condition.matchAll(/\bIn\(\s*(['"])(.*?)\1\s*\)/g)].map((match) => match[2] ?? "");
  if (literals.length < condition.split(/\bIn\(/).length - 1)
    throw new Unsupported(`In() of an expression: ${condition}`);
  return [...new Set(literals)];
}
