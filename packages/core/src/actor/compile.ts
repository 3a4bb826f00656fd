import type { AnyStateMachine, EventObject } from "xstate";

import { enteredBy, leftBy, nodeOf, nodesBelow, pathOf, valueOf, type StateNode, type Transition } from "./chart.ts";
import { bindAction, bindGuard, type Guard, type Operation, type Step } from "./operations.ts";

/** A state in which a machine can rest. It is the innermost state of its path. */
export interface Leaf {
  /** XState's state value. All instances in this leaf share one object. */
  readonly value: unknown;
  readonly isFinal: boolean;
}

/**
 * An XState machine in the form of tables. At each step, XState's interpreter computes the states that a transition leaves and enters and the actions
 * that this runs, and it makes a snapshot for each action. The compiler computes all of this once, for machines that are in one state of each level
 * at a time.
 */
export interface CompiledMachine {
  /** Enters the first states, and takes all transitions that follow at once. */
  begin(input: unknown, step: Step): Leaf;
  /**
   * Takes an event, and all transitions that follow at once. The step stays untouched when no transition takes the event. Throws the error of a guard
   * or an action.
   */
  take(leaf: Leaf, event: EventObject, step: Step): Leaf;
  /** Returns the leaf of a state value. Throws when the machine has none. */
  leafOf(value: unknown): Leaf;
}

interface Candidate {
  readonly guard: Guard | undefined;
  readonly operations: readonly Operation[];
  readonly target: Rest;
}

/** A leaf with its tables. */
interface Rest extends Leaf {
  readonly path: readonly StateNode[];
  readonly byEvent: Map<string, readonly Candidate[]>;
  always: readonly Candidate[];
}

const NONE: readonly Candidate[] = [];

/**
 * Compiles a machine. Throws when the machine has parallel or history states, inner final states, inner actors, an output, wildcards for events, or
 * guards and actions that need XState's interpreter. XState must step such a machine.
 */
export function compile(logic: AnyStateMachine): CompiledMachine {
  const root = logic.root as unknown as StateNode;
  const nodes = nodesBelow(root);
  for (const node of nodes) checkNode(node, root);
  const rests = new Map(nodes.filter(isLeaf).map((node) => [node, restIn(node)]));
  const byValue = new Map([...rests.values()].map((rest) => [rest.value, rest]));
  for (const rest of rests.values()) fill(rest);
  const opening = enteredBy({ source: root, target: [root], reenter: true });
  const first = restAt(opening.at(-1)?.node);
  const openings = [...actionsOf(opening), ...endOf(first)].map((action) => bindAction(logic, action));

  function restAt(node: StateNode | undefined): Rest {
    const rest = node === undefined ? undefined : rests.get(node);
    if (rest === undefined) throw new Error(`${node?.id ?? root.id} has no initial state`);
    return rest;
  }

  /** Fills the tables of a leaf with its transitions and those of the states around it, innermost first. A step takes the first one whose guard passes. */
  function fill(rest: Rest): void {
    const inner = rest.path.toReversed();
    rest.always = inner.flatMap(({ always = [] }) => always.map((transition) => candidate(rest, transition)));
    for (const type of new Set(inner.flatMap(({ transitions }) => [...transitions.keys()]))) {
      const transitions = inner.flatMap((node) => node.transitions.get(type) ?? []);
      rest.byEvent.set(
        type,
        transitions.map((transition) => candidate(rest, transition)),
      );
    }
  }

  function candidate(rest: Rest, transition: Transition): Candidate {
    if ((transition.target?.length ?? 0) > 1)
      throw new Error(`${transition.source.id} has a transition with two targets`);
    const entered = enteredBy(transition);
    const target = entered.length === 0 ? rest : restAt(entered.at(-1)?.node);
    const actions = [
      ...leftBy(transition, rest.path).flatMap(({ exit }) => exit),
      ...transition.actions,
      ...actionsOf(entered),
      ...endOf(target),
    ];
    return {
      guard: transition.guard === undefined ? undefined : bindGuard(logic, transition.guard),
      operations: actions.map((action) => bindAction(logic, action)),
      target,
    };
  }

  return {
    begin(input, step) {
      const event = { type: "xstate.init", input };
      const { context } = logic.config as { readonly context?: unknown };
      step.context = (typeof context === "function" ? context({ input }) : (context ?? {})) as object;
      const queue: EventObject[] = [];
      for (const operation of openings) operation(event, step, queue);
      return settle(first, event, step, queue);
    },
    take(leaf, event, step) {
      const rest = leaf as Rest;
      const queue: EventObject[] = [];
      const chosen = choose(rest.byEvent.get(event.type) ?? NONE, event, step);
      return settle(chosen === undefined ? rest : run(chosen, event, step, queue), event, step, queue);
    },
    leafOf(value) {
      const known = byValue.get(value);
      if (known !== undefined) return known;
      const node = nodeOf(root, value);
      const rest = node === undefined ? undefined : rests.get(node);
      if (rest === undefined) throw new Error(`${JSON.stringify(value)} is not a state of machine ${root.id}`);
      return rest;
    },
  };
}

/** Takes eventless transitions and raised events until there are none. */
function settle(from: Rest, trigger: EventObject, step: Step, queue: EventObject[]): Rest {
  let rest = from;
  let event = trigger;
  let mayFollow = true;
  while (!rest.isFinal) {
    const eventless: Candidate | undefined = mayFollow ? choose(rest.always, event, step) : undefined;
    let chosen = eventless;
    if (chosen === undefined) {
      const raised = queue.shift();
      if (raised === undefined) break;
      event = raised;
      chosen = choose(rest.byEvent.get(event.type) ?? NONE, event, step);
    }
    const { context } = step;
    const before = rest;
    if (chosen !== undefined) rest = run(chosen, event, step, queue);
    // As in XState, an eventless transition that changed nothing ends the search for further ones until the next event.
    mayFollow = eventless === undefined || rest !== before || step.context !== context;
  }
  return rest;
}

function choose(candidates: readonly Candidate[], event: EventObject, { context }: Step): Candidate | undefined {
  for (const candidate of candidates) if (candidate.guard?.(context, event) ?? true) return candidate;
  return undefined;
}

function run({ operations, target }: Candidate, event: EventObject, step: Step, queue: EventObject[]): Rest {
  for (const operation of operations) operation(event, step, queue);
  return target;
}

/** Returns the exit actions of the states in which a machine has ended. */
function endOf({ isFinal, path }: Rest): StateNode["exit"] {
  return isFinal ? path.toReversed().flatMap(({ exit }) => exit) : [];
}

function restIn(node: StateNode): Rest {
  const path = pathOf(node);
  return { path, value: valueOf(path), isFinal: node.type === "final", byEvent: new Map(), always: NONE };
}

function isLeaf({ type }: StateNode): boolean {
  return type === "atomic" || type === "final";
}

function actionsOf(entered: ReturnType<typeof enteredBy>): StateNode["entry"] {
  return entered.flatMap(({ node, byDefault }) => [
    ...node.entry,
    ...(byDefault && node.type === "compound" ? (node.initial?.actions ?? []) : []),
  ]);
}

function checkNode(node: StateNode, root: StateNode): void {
  const { id, type, invoke, output, parent, transitions } = node;
  if (type !== "atomic" && type !== "compound" && type !== "final") throw new Error(`${id} is a ${type} state`);
  if (type === "final" && parent !== root) throw new Error(`${id} is a final state inside another`);
  if (invoke.length > 0) throw new Error(`${id} invokes an actor`);
  if (output !== undefined) throw new Error(`${id} has an output`);
  for (const event of transitions.keys()) if (event.includes("*")) throw new Error(`${id} takes ${event}`);
}
